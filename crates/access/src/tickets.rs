//! What a client shows to a node: a token signed here, which the node checks against our JWKS.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde::Serialize;
use thiserror::Error;
use token::TOKEN_BYTES_MAX;

/// The name of who signs (`iss`).
const ISSUER: &str = "optimum-proxy";

/// The label of a PEM block of a private key.
const PEM_LABEL: &str = "PRIVATE KEY";

/// A key or a ticket that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// The text is no PEM block.
    #[error("no PEM: {0}")]
    NoPem(String),
    /// The block is no private key of Ed25519.
    #[error("no Ed25519 private key in PKCS #8: {0}")]
    NoKey(String),
    /// The ticket would be longer than a node takes.
    #[error("the ticket would have {0} bytes; {TOKEN_BYTES_MAX} are the most: name fewer topics")]
    TooLong(usize),
}

/// What a ticket says.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<'a> {
    /// The session it is of.
    pub session_id: &'a str,
    /// Whom it was given to.
    pub client_id: &'a str,
    /// The node it was given for.
    pub node: &'a str,
    /// Topics the client asked for.
    pub topics: &'a [String],
    /// What the client asked to do: `publish`, `subscribe`.
    pub capabilities: &'a [String],
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    aud: &'a str,
    sid: &'a str,
    topics: &'a [String],
    capabilities: &'a [String],
    iat: u64,
    exp: u64,
}

/// Signs tickets.
pub struct TicketSigner {
    key: EncodingKey,
    header: Header,
    jwks: String,
}

impl std::fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketSigner").field("key_id", &self.header.kid).finish_non_exhaustive()
    }
}

impl TicketSigner {
    /// Signs with a private key in PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    ///
    /// Returns an error if it is none.
    pub fn from_pem(pem: &str) -> Result<Self, TicketError> {
        let block = pem::parse(pem).map_err(|error| TicketError::NoPem(error.to_string()))?;
        if block.tag() != PEM_LABEL {
            return Err(TicketError::NoPem(format!("a block of {}, not {PEM_LABEL}", block.tag())));
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(block.contents());
        let pair = pair.map_err(|error| TicketError::NoKey(error.to_string()))?;
        Ok(Self::of(&pair))
    }

    /// Signs with a key made now, which ends with the process.
    pub fn generate() -> Self {
        Self::of(&Ed25519KeyPair::generate().expect("the system has entropy"))
    }

    /// Makes a private key in PEM, for several signers to share.
    pub fn generate_pem() -> String {
        let pair = Ed25519KeyPair::generate().expect("the system has entropy");
        pem::encode(&pem::Pem::new(PEM_LABEL, der(&pair)))
    }

    fn of(pair: &Ed25519KeyPair) -> Self {
        let key = EncodingKey::from_ed_der(&der(pair));
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("a key of Ed25519");
        let id = jwk.thumbprint(ThumbprintHash::SHA256).expect("a kind with a thumbprint");
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] }).expect("text keys");
        let header = Header { kid: Some(id), ..Header::new(Algorithm::EdDSA) };
        Self { key, header, jwks }
    }

    /// Returns the public half as a JWKS, for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs a ticket that holds from `now` for `lifetime`.
    ///
    /// # Errors
    ///
    /// Returns an error if it would be longer than a node takes.
    pub fn sign(
        &self,
        ticket: &Ticket<'_>,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, TicketError> {
        let iat = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            iss: ISSUER,
            sub: ticket.client_id,
            aud: ticket.node,
            sid: ticket.session_id,
            topics: ticket.topics,
            capabilities: ticket.capabilities,
            iat,
            exp: iat.saturating_add(lifetime.as_secs()),
        };
        let signed = encode(&self.header, &claims, &self.key).expect("a key that signed before");
        if signed.len() > TOKEN_BYTES_MAX {
            return Err(TicketError::TooLong(signed.len()));
        }
        Ok(signed)
    }
}

/// Returns the key in the form that has nothing but the seed.
fn der(pair: &Ed25519KeyPair) -> Vec<u8> {
    pair.to_pkcs8v1().expect("a sound key").as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use service::jwks::{Keys, Rules, VerifyError};

    use super::*;

    /// The example key of RFC 8037, appendix A.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ticket(topics: &[String]) -> Ticket<'_> {
        let node = "p2pnode-1";
        Ticket { session_id: "s", client_id: "auth0|u1", node, topics, capabilities: &[] }
    }

    async fn keys(signer: &TicketSigner) -> Keys {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), signer.jwks()).expect("written");
        // A node takes these.
        let path = file.path().to_string_lossy().into_owned();
        Keys::new(&path, &[Algorithm::EdDSA, Algorithm::ES256]).await.expect("sound keys")
    }

    #[test]
    fn the_same_key_has_the_same_name_and_public_half() {
        let jwks: Value =
            serde_json::from_str(TicketSigner::from_pem(PEM).expect("a key").jwks()).expect("JSON");
        let key = &jwks["keys"][0];
        assert_eq!(
            (&key["kty"], &key["crv"], &key["x"]),
            (&json!("OKP"), &json!("Ed25519"), &json!(PUBLIC))
        );
        // Appendix A.3.
        assert_eq!(key["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));
        assert!(key.get("d").is_none(), "the private half stays here");
    }

    #[tokio::test]
    async fn a_ticket_is_believed_by_who_has_our_jwks_until_it_ends() {
        let signer = TicketSigner::from_pem(&TicketSigner::generate_pem()).expect("a key");
        let keys = keys(&signer).await;
        let topics = ["a".to_owned()];
        let minute = Duration::from_secs(60);
        let now = SystemTime::now();
        let new = signer.sign(&ticket(&topics), now, minute).expect("short");
        let claims = keys.verify(&new, &Rules::default()).await.expect("valid");
        assert_eq!(
            (&claims["sub"], &claims["aud"], &claims["sid"]),
            (&json!("auth0|u1"), &json!("p2pnode-1"), &json!("s"))
        );
        assert_eq!(claims["topics"], json!(["a"]));
        assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|iat| iat + 60));
        let old = signer.sign(&ticket(&topics), now - 3 * minute, minute).expect("short");
        assert_eq!(keys.verify(&old, &Rules::default()).await, Err(VerifyError::Expired));
        let stranger = TicketSigner::generate().sign(&ticket(&topics), now, minute).expect("short");
        let refused = keys.verify(&stranger, &Rules::default()).await;
        assert!(matches!(refused, Err(VerifyError::UnknownKey(_))), "{refused:?}");
    }

    #[test]
    fn a_ticket_that_no_node_takes_is_not_signed() {
        let topics = vec!["t".repeat(100); 200];
        let signed = TicketSigner::generate().sign(
            &ticket(&topics),
            SystemTime::now(),
            Duration::from_secs(1),
        );
        assert!(matches!(signed, Err(TicketError::TooLong(bytes)) if bytes > TOKEN_BYTES_MAX));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (pem, says) in [
            ("", "no PEM"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no Ed25519"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE"),
        ] {
            let error = TicketSigner::from_pem(pem).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
