//! `mump2p tracer reset`.

use crate::{Context, Error, http::Service, output};

/// Makes the tracer forget.
///
/// # Errors
///
/// Returns an error if the proxy does not.
pub(crate) async fn run(context: &Context) -> Result<(), Error> {
    let answer = Service::new(context)?.get("/api/v1/tracer/reset").await?;
    if !(200..300).contains(&answer.status) {
        answer.ok("tracer reset")?;
    }
    output::line("✅ The tracer forgot what it saw")
}
