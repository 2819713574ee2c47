//! Checksum in front of a file's content.

use crc::{CRC_64_GO_ISO, Crc};
use thiserror::Error;

const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_GO_ISO);

/// Length of the checksum in bytes.
const CHECKSUM_BYTES: usize = 8;

/// Why a file's content cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FramingError {
    /// Shorter than the checksum.
    #[error("file is too short")]
    TooShort,
    /// The checksum is that of something else.
    #[error("checksum mismatch: {written:x} != {computed:x}")]
    Mismatch {
        /// What the file says.
        written: u64,
        /// What its content has.
        computed: u64,
    },
}

/// Puts the checksum in front of `content`.
pub fn frame(content: &[u8]) -> Vec<u8> {
    [&CRC.checksum(content).to_le_bytes()[..], content].concat()
}

/// Returns the content behind a checksum that fits.
///
/// # Errors
///
/// Returns [`FramingError`] if `bytes` are shorter than a checksum or it does not fit.
pub fn unframe(bytes: &[u8]) -> Result<&[u8], FramingError> {
    let (checksum, content) =
        bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or(FramingError::TooShort)?;
    let written = u64::from_le_bytes(*checksum);
    let computed = CRC.checksum(content);
    if written == computed {
        Ok(content)
    } else {
        Err(FramingError::Mismatch { written, computed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_64_go_iso() {
        assert_eq!(CRC.checksum(b"123456789"), 0xb909_56c7_75a4_1001);
        assert_eq!(frame(b"123456789")[..8], 0xb909_56c7_75a4_1001_u64.to_le_bytes());
    }

    #[test]
    fn a_mismatch_is_told_in_lower_case_hex_without_padding() {
        let error = FramingError::Mismatch { written: 0xAB, computed: 0x1 };
        assert_eq!(error.to_string(), "checksum mismatch: ab != 1");
    }
}
