//! `mump2p tracer reset`.

use crate::{Context, Error};

/// Makes the tracer forget.
///
/// # Errors
///
/// Returns an error if the proxy does not.
pub(crate) async fn run(_context: &Context) -> Result<(), Error> {
    Err(Error::Failed("tracer reset: not built yet".to_owned()))
}
