//! What every command knows: who asks, whom, and how to answer.

use token::Limits;

use crate::{
    Error, Output,
    arguments::{Command, Global},
    auth::{self, Login},
    http, output,
};

/// What an inactive account is told.
pub(crate) const INACTIVE: &str = "your account is inactive, please contact support";

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
    /// Who asks: by the token, else as `--client-id` says.
    pub client_id: Option<String>,
    /// What the token lets its client publish; none without a token.
    pub limits: Option<Limits>,
    /// `sub` of the token, which names the file that counts what was published.
    pub subject: Option<String>,
}

/// What a command needs of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It does not look at it.
    Nothing,
    /// It shows the token if there is one.
    Token,
    /// It must know who asks.
    Client,
}

impl Context {
    /// Makes it of the flags that every command has, for one command.
    ///
    /// # Errors
    ///
    /// Returns an error if the flags do not go together, or the command needs a login and there is
    /// none.
    pub async fn new(global: &Global, command: &Command) -> Result<Self, Error> {
        let sample = "http://localhost:8081";
        let mut context = Self {
            service_url: http::base_url(&global.service_url, "--service-url", sample)?,
            output: global.output,
            debug: global.debug,
            token: None,
            client_id: global.client_id.clone(),
            limits: None,
            subject: None,
        };
        let need = need(command);
        if need == Need::Client && global.disable_auth && global.client_id.is_none() {
            let text = "--client-id is required when using --disable-auth";
            return Err(Error::Usage(text.to_owned()));
        }
        if let Some(problem) = global.client_id.as_deref().and_then(token::client_id_problem) {
            return Err(Error::Usage(format!("--client-id: {problem}")));
        }
        if need == Need::Nothing || global.disable_auth {
            return Ok(context);
        }
        match auth::login(global).await {
            Ok(Some(login)) if !login.claims.is_active && is_refused_inactive(command) => {
                return Err(Error::Failed(INACTIVE.to_owned()));
            }
            Ok(Some(login)) => context.log_in(login),
            Ok(None) if need == Need::Client => return Err(nobody()),
            Ok(None) => {}
            Err(error) if need == Need::Client => return Err(error),
            Err(error) => output::note(&format!("going on without a login: {error}")),
        }
        Ok(context)
    }

    fn log_in(&mut self, login: Login) {
        self.token = Some(login.file.token);
        self.client_id = Some(login.claims.client_id);
        self.limits = Some(login.claims.limits);
        self.subject = Some(login.claims.subject);
    }

    /// Returns who asks.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody said so.
    pub fn client(&self) -> Result<&str, Error> {
        self.client_id.as_deref().ok_or_else(nobody)
    }
}

/// Returns the error of a command that needs a login where there is none.
pub(crate) fn nobody() -> Error {
    Error::Login(
        "nobody is logged in: run mump2p login; or, with a proxy that checks no tokens, use \
         --disable-auth --client-id ID"
            .to_owned(),
    )
}

/// Tells whether a command is refused to an inactive account before anything is sent (the contract,
/// sections 2.6 and 2.7). Anybody may ask how the proxy is.
fn is_refused_inactive(command: &Command) -> bool {
    need(command) == Need::Client || matches!(command, Command::Tracer(_))
}

fn need(command: &Command) -> Need {
    match command {
        Command::Publish(_) | Command::Subscribe(_) | Command::ListTopics => Need::Client,
        Command::Health | Command::Tracer(_) => Need::Token,
        Command::Login
        | Command::Logout
        | Command::Whoami
        | Command::Refresh
        | Command::Usage
        | Command::Version
        | Command::Update(_)
        | Command::Dashboard(_)
        | Command::Completions(_)
        | Command::Man(_) => Need::Nothing,
    }
}
