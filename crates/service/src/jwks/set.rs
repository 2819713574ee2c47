//! A set of keys as read.

use std::sync::Arc;

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use token::{Algorithm, Head};

use super::KeysError;

/// One key and the ways it may sign.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) verifying: DecodingKey,
}

/// Why a set has no key for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No key has the id; newer keys may have.
    Unknown(String),
    /// The token names none, and there is not just one.
    Unnamed,
    /// The key is not for this algorithm.
    Algorithm(Algorithm),
}

/// Keys that can be used.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a JWKS; keys that cannot be used are left out.
    pub(super) fn parse(json: &[u8], allowed: &'static [Algorithm]) -> Result<Self, KeysError> {
        let set: JwkSet = serde_json::from_slice(json)?;
        let usable = set.keys.iter().filter_map(|jwk| {
            let mut algorithms = algorithms(jwk);
            algorithms.retain(|algorithm| allowed.contains(algorithm));
            let is_for_signatures =
                !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
            if algorithms.is_empty() || !is_for_signatures {
                return None;
            }
            let verifying = DecodingKey::from_jwk(jwk).ok()?;
            Some(Arc::new(Key { id: jwk.common.key_id.clone(), algorithms, verifying }))
        });
        let usable: Vec<_> = usable.collect();
        if usable.is_empty() { Err(KeysError::NoneUsable(allowed)) } else { Ok(Self(usable)) }
    }

    /// Returns the key of a token; where it names none, the only one there is.
    pub(super) fn choose(&self, head: &Head) -> Result<Arc<Key>, Missing> {
        let named = match (&head.key_id, &self.0[..]) {
            (None, [only]) => vec![only],
            (None, _) => return Err(Missing::Unnamed),
            (Some(id), all) => all.iter().filter(|key| key.id.as_ref() == Some(id)).collect(),
        };
        if named.is_empty() {
            return Err(Missing::Unknown(head.key_id.clone().unwrap_or_default()));
        }
        let fit = named.into_iter().find(|key| key.algorithms.contains(&head.algorithm));
        fit.cloned().ok_or(Missing::Algorithm(head.algorithm))
    }
}

/// Returns how a key may sign: by its kind, if what it says of itself agrees.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other kinds are left out")]
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let kind: &[_] = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            &[(Algorithm::EdDSA, KeyAlgorithm::EdDSA)]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            &[(Algorithm::ES256, KeyAlgorithm::ES256)]
        }
        AlgorithmParameters::RSA(_) => &[
            (Algorithm::RS256, KeyAlgorithm::RS256),
            (Algorithm::RS384, KeyAlgorithm::RS384),
            (Algorithm::RS512, KeyAlgorithm::RS512),
        ],
        _ => &[],
    };
    let said = jwk.common.key_algorithm.as_ref();
    let agree = kind.iter().filter(|(_, name)| said.is_none_or(|said| said == name));
    agree.map(|(algorithm, _)| *algorithm).collect()
}
