//! What an answer is made of when a client is refused.

/// An error as a client is told of it, whatever it speaks.
pub trait Refusal: std::error::Error {
    /// Returns the status code of HTTP that fits.
    fn code(&self) -> u16;

    /// Returns after how many seconds it is worth another try, where that is known.
    fn retry_after_seconds(&self) -> Option<u64> {
        None
    }
}
