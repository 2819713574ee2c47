//! The node's identity file, `p2p.key`: 8 bytes of checksum, then one compact JSON object.
//!
//! | offset | content |
//! |---|---|
//! | 0 | CRC-64/GO-ISO of all following bytes, little-endian |
//! | 8 | `{"Key":"…","ID":"…"}`: the libp2p protobuf private key in standard padded base64, the peer id in base58 |
//!
//! An existing file is never overwritten: when it cannot be read or verified, loading fails.
#![forbid(unsafe_code)]

mod file;
mod framing;

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libp2p_identity::{DecodingError, Keypair, PeerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use file::write_atomically;
pub use framing::{FramingError, frame, unframe};

/// The name of the file in the identity folder.
pub const FILE_NAME: &str = "p2p.key";

/// A key pair and where it is kept.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Signs for the node.
    pub keypair: Keypair,
    /// The file.
    pub path: PathBuf,
    /// Whether the file was there before.
    pub existed: bool,
}

/// Why there is no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The folder or the file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which folder or file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The checksum does not fit.
    #[error("{path}: {error}")]
    Framing {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: FramingError,
    },
    /// What follows the checksum is not the JSON object expected.
    #[error("{path}: not an identity: {error}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The key is not base64.
    #[error("{path}: the key is not base64: {error}")]
    Base64 {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: base64::DecodeError,
    },
    /// The key is no libp2p private key that this program knows (Ed25519 or secp256k1).
    #[error("{path}: not an Ed25519 or secp256k1 private key: {error}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: DecodingError,
    },
}

/// The JSON object; capitalised keys in this order.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    key: String,
    #[serde(rename = "ID")]
    id: String,
}

impl Identity {
    /// Returns the peer id.
    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }
}

/// Loads the identity of `folder`, or makes an Ed25519 one there; the folder is made if absent
/// (mode 0755), the file has mode 0600.
///
/// # Errors
///
/// Returns [`IdentityError`] if the folder or file cannot be read or written, or if the file is
/// there and is not a sound identity; it is left as it is.
pub fn load_or_generate(folder: &Path) -> Result<Identity, IdentityError> {
    let path = folder.join(FILE_NAME);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| IdentityError::Io { path, error }
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            let keypair = decode(&path, &bytes)?;
            Ok(Identity { keypair, path, existed: true })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            file::create_folder(folder).map_err(io(folder))?;
            let keypair = Keypair::generate_ed25519();
            let bytes = encode(&path, &keypair)?;
            write_atomically(&path, &bytes).map_err(io(&path))?;
            Ok(Identity { keypair, path, existed: false })
        }
        Err(error) => Err(io(&path)(error)),
    }
}

/// Reads the content of an identity file; `path` is for errors.
fn decode(path: &Path, bytes: &[u8]) -> Result<Keypair, IdentityError> {
    let path = || path.to_owned();
    let json = unframe(bytes).map_err(|error| IdentityError::Framing { path: path(), error })?;
    let written: Written = serde_json::from_slice(json)
        .map_err(|error| IdentityError::Json { path: path(), error })?;
    let key = STANDARD
        .decode(written.key)
        .map_err(|error| IdentityError::Base64 { path: path(), error })?;
    Keypair::from_protobuf_encoding(&key)
        .map_err(|error| IdentityError::Key { path: path(), error })
}

fn encode(path: &Path, keypair: &Keypair) -> Result<Vec<u8>, IdentityError> {
    let key = keypair
        .to_protobuf_encoding()
        .map_err(|error| IdentityError::Key { path: path.to_owned(), error })?;
    let id = keypair.public().to_peer_id().to_base58();
    let written = Written { key: STANDARD.encode(key), id };
    let json = serde_json::to_vec(&written)
        .map_err(|error| IdentityError::Json { path: path.to_owned(), error })?;
    Ok(frame(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_made_once_is_the_same_ever_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("made/on/the/way");
        let made = load_or_generate(&below).expect("made");
        let loaded = load_or_generate(&below).expect("loaded");
        assert!(!made.existed && loaded.existed);
        assert_eq!(made.peer_id(), loaded.peer_id());
        assert!(made.peer_id().to_base58().starts_with("12D3KooW"));
    }

    #[test]
    fn the_file_is_checksum_then_compact_json_with_key_before_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = load_or_generate(folder.path()).expect("made");
        let bytes = std::fs::read(&made.path).expect("written");
        let json = std::str::from_utf8(&bytes[8..]).expect("JSON");
        assert!(json.starts_with(r#"{"Key":"CAESQ"#), "{json}");
        assert!(json.ends_with(&format!(r#"","ID":"{}"}}"#, made.peer_id())), "{json}");
        assert_eq!(frame(json.as_bytes()), bytes);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let made = load_or_generate(folder.path()).expect("made");
        let metadata = std::fs::metadata(&made.path).expect("written");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_known_file_is_read_as_the_peer_it_names() {
        // Seed bytes 1 to 32; the file was put together by hand from the format's description.
        let seed: Vec<u8> = (1..=32).collect();
        let keypair = Keypair::ed25519_from_bytes(seed).expect("a seed");
        let id = keypair.public().to_peer_id().to_base58();
        let key = STANDARD.encode(keypair.to_protobuf_encoding().expect("a key"));
        let json = format!(r#"{{"Key":"{key}","ID":"{id}"}}"#);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE_NAME), frame(json.as_bytes())).expect("written");
        let loaded = load_or_generate(folder.path()).expect("sound");
        assert_eq!(loaded.peer_id().to_base58(), id);
    }

    #[test]
    fn a_secp256k1_key_is_read_too() {
        let keypair = Keypair::generate_secp256k1();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, encode(&path, &keypair).expect("encoded")).expect("written");
        let loaded = load_or_generate(folder.path()).expect("sound");
        assert_eq!(loaded.peer_id(), keypair.public().to_peer_id());
        assert!(loaded.peer_id().to_base58().starts_with("16Uiu2"));
    }

    /// Writes `bytes`, expects an error that contains `expected`, and the file untouched.
    fn refused(bytes: &[u8], expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, bytes).expect("written");
        let error = load_or_generate(folder.path()).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert_eq!(std::fs::read(&path).expect("still there"), bytes);
    }

    #[test]
    fn broken_files_are_refused_with_the_reason_and_left_untouched() {
        let folder = tempfile::tempdir().expect("a folder");
        let sound = std::fs::read(load_or_generate(folder.path()).expect("made").path);
        let sound = sound.expect("written");
        refused(b"", "file is too short");
        refused(&sound[..7], "file is too short");
        refused(&sound[..sound.len() - 1], "checksum mismatch: ");
        refused(&sound[8..], "checksum mismatch: ");
        let mut flipped = sound.clone();
        flipped[20] ^= 1;
        refused(&flipped, "checksum mismatch: ");
        refused(&frame(b"{}"), "not an identity");
        refused(&frame(br#"{"Key":"!","ID":""}"#), "not base64");
        refused(&frame(br#"{"Key":"AAAA","ID":""}"#), "private key");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let in_the_way = folder.path().join("file");
        std::fs::write(&in_the_way, b"").expect("written");
        let error = load_or_generate(&in_the_way).expect_err("not a folder").to_string();
        assert!(error.contains(&in_the_way.display().to_string()), "{error}");
    }
}
