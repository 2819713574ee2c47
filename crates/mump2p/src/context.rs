//! What every command knows: who asks, whom, and how to answer.

use crate::{Error, Output, arguments::Global};

/// What every command knows.
#[derive(Clone, Debug)]
pub struct Context {
    /// Base URL of the proxy, without a slash at its end.
    pub service_url: String,
    /// The form of answers.
    pub output: Output,
    /// Print what happens underneath, with times.
    pub debug: bool,
    /// The bearer token to show, if somebody is logged in and authentication is not disabled.
    pub token: Option<String>,
    /// Who asks: named by `--client-id`, else by the token.
    pub client_id: Option<String>,
}

impl Context {
    /// Makes it of the flags that every command has.
    ///
    /// # Errors
    ///
    /// Returns an error if the flags do not go together.
    pub fn new(global: &Global) -> Result<Self, Error> {
        Ok(Self {
            service_url: global.service_url.trim_end_matches('/').to_owned(),
            output: global.output,
            debug: global.debug,
            token: None,
            client_id: global.client_id.clone(),
        })
    }
}
