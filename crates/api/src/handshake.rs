//! The cluster handshake: what two nodes say of themselves before they take part in each other's
//! gossip, as JSON.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `CLUSTER_ID`, trimmed; empty when not set.
    #[serde(default)]
    pub cluster_id: String,
    /// `NODE_MODE`.
    #[serde(default)]
    pub mode: String,
    /// `OPTIMUM_PROFILE`.
    #[serde(default)]
    pub profile: String,
    /// Versions of the gossip protocol spoken.
    #[serde(default)]
    pub versions: Vec<u32>,
    /// The longest message taken, in bytes.
    #[serde(default)]
    pub max_message_bytes: u64,
    /// The version of the program, for logs only.
    #[serde(default)]
    pub software: String,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the answering node says of itself.
    #[serde(flatten)]
    pub hello: Hello,
    /// Why the peer is not admitted; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a peer is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are the two values that differ")]
pub enum Refusal {
    /// Of different clusters.
    #[error("handshake cluster ID does not match: {ours:?} here, {theirs:?} at the peer")]
    Cluster { ours: String, theirs: String },
    /// In different modes.
    #[error("node mode does not match: {ours:?} here, {theirs:?} at the peer")]
    Mode { ours: String, theirs: String },
    /// With different profiles.
    #[error("protocol profile does not match: {ours:?} here, {theirs:?} at the peer")]
    Profile { ours: String, theirs: String },
    /// Nothing that both speak.
    #[error("no common version of the gossip protocol: {ours:?} here, {theirs:?} at the peer")]
    Version { ours: Vec<u32>, theirs: Vec<u32> },
}

/// Says whether `theirs` can take part with `ours`. Symmetrical: both sides come to the same.
///
/// # Errors
///
/// Returns the first [`Refusal`] that holds.
pub fn check(ours: &Hello, theirs: &Hello) -> Result<(), Refusal> {
    let pair = |a: &String, b: &String| (a.clone(), b.clone());
    if ours.cluster_id.trim() != theirs.cluster_id.trim() {
        let (ours, theirs) = pair(&ours.cluster_id, &theirs.cluster_id);
        return Err(Refusal::Cluster { ours, theirs });
    }
    if ours.mode != theirs.mode {
        let (ours, theirs) = pair(&ours.mode, &theirs.mode);
        return Err(Refusal::Mode { ours, theirs });
    }
    if ours.profile != theirs.profile {
        let (ours, theirs) = pair(&ours.profile, &theirs.profile);
        return Err(Refusal::Profile { ours, theirs });
    }
    if !ours.versions.iter().any(|version| theirs.versions.contains(version)) {
        let (ours, theirs) = (ours.versions.clone(), theirs.versions.clone());
        return Err(Refusal::Version { ours, theirs });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            cluster_id: "a".into(),
            mode: "optimum".into(),
            profile: "documented".into(),
            versions: vec![1],
            max_message_bytes: 1 << 20,
            software: "dev".into(),
        }
    }

    #[test]
    fn unset_on_both_sides_is_equal_and_blanks_around_an_id_do_not_count() {
        let unset = Hello { cluster_id: String::new(), ..hello() };
        assert_eq!(check(&unset, &unset), Ok(()));
        assert!(check(&unset, &hello()).is_err());
        let blanks = Hello { cluster_id: " a\n".into(), ..hello() };
        assert_eq!(check(&blanks, &hello()), Ok(()));
    }

    #[test]
    fn messages_are_flat_json_and_unknown_keys_are_ignored() {
        let answer = Answer { hello: hello(), refused: None };
        let text = serde_json::to_string(&answer).expect("serialises");
        assert!(text.starts_with(r#"{"cluster_id":"a","mode":"optimum","#), "{text}");
        assert!(!text.contains("refused"));
        let more = r#"{"cluster_id":"a","jwt_token":"x","commit_hash":"y"}"#;
        let theirs: Hello = serde_json::from_str(more).expect("parses");
        assert_eq!(theirs.cluster_id, "a");
        assert!(matches!(check(&hello(), &theirs), Err(Refusal::Mode { .. })));
    }
}
