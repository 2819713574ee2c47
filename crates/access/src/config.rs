//! Settings, from environment variables.

use std::{fs, path::Path};

use service::env::{ConfigError, Env};

/// The help text's list of variables: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("ENABLE_AUTH", "false", "true: clients need a token, and its limits hold"),
    ("AUTH0_DOMAIN", "(none)", "host that signs tokens; gives JWKS_URL and JWT_ISSUER"),
    ("AUTH0_AUDIENCE", "(none)", "what a token must be for (aud); needed with ENABLE_AUTH"),
    ("JWKS_URL", "(from AUTH0_DOMAIN)", "URL or file of the keys that sign tokens"),
    ("JWT_ISSUER", "(from AUTH0_DOMAIN)", "who a token must be from (iss)"),
    ("REDIS_URL", "(none)", "redis://… or rediss://… that proxies share; none keeps all in memory"),
    ("REDIS_FAILURE", "open", "while Redis is away: open goes on in memory, closed refuses"),
    ("TICKET_SIGNING_KEY", "(made at start)", "Ed25519 key in PEM, or a file of it, for tickets"),
];

/// What clients need to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// `JWKS_URL`: URL or file.
    pub jwks: String,
    /// `JWT_ISSUER`.
    pub issuer: String,
    /// `AUTH0_AUDIENCE`.
    pub audience: String,
}

/// What happens while Redis is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The proxy goes on by what it knows itself.
    #[default]
    Open,
    /// What needs Redis is refused.
    Closed,
}

/// A Redis or Valkey that proxies share.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// `REDIS_URL`; it may bear a password.
    pub url: String,
    /// `REDIS_FAILURE`.
    pub on_failure: OnFailure,
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig").field("on_failure", &self.on_failure).finish_non_exhaustive()
    }
}

/// Settings about clients.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessConfig {
    /// `ENABLE_AUTH` and what goes with it; none lets everybody in, without limits.
    pub auth: Option<AuthConfig>,
    /// `REDIS_URL` and what goes with it; none keeps all in memory.
    pub redis: Option<RedisConfig>,
    /// `TICKET_SIGNING_KEY`: PEM; none makes a key.
    pub ticket_key: Option<String>,
}

impl std::fmt::Debug for AccessConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { auth, redis, ticket_key } = self;
        let has_key = ticket_key.is_some();
        f.debug_struct("AccessConfig")
            .field("auth", auth)
            .field("redis", redis)
            .field("has_ticket_key", &has_key)
            .finish()
    }
}

impl AccessConfig {
    /// Reads the variables, and the file of the key if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none, or one that lacks another.
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self { auth: auth(env)?, redis: redis(env)?, ticket_key: ticket_key(env)? })
    }
}

fn auth(env: Env<'_>) -> Result<Option<AuthConfig>, ConfigError> {
    let domain = env.filled("AUTH0_DOMAIN");
    let is_host = |domain: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        domain.chars().all(known)
    };
    if domain.as_deref().is_some_and(|domain| !is_host(domain)) {
        let problem = "no host name".to_owned();
        return Err(env.error("AUTH0_DOMAIN", problem, "a host such as example.eu.auth0.com"));
    }
    let is_on = env.boolean("ENABLE_AUTH", false)?;
    let of_domain = |path: &str| domain.as_ref().map(|domain| format!("https://{domain}/{path}"));
    let jwks = env.filled("JWKS_URL").or_else(|| of_domain(".well-known/jwks.json"));
    let issuer = env.filled("JWT_ISSUER").or_else(|| of_domain(""));
    let audience = env.filled("AUTH0_AUDIENCE");
    if !is_on {
        return Ok(None);
    }
    let needed = |value: Option<String>, variable, allowed| {
        let problem = "ENABLE_AUTH is true and this is not set".to_owned();
        value.ok_or_else(|| env.error(variable, problem, allowed))
    };
    let host = "a host such as example.eu.auth0.com, or JWKS_URL and JWT_ISSUER instead";
    Ok(Some(AuthConfig {
        jwks: needed(jwks, "AUTH0_DOMAIN", host)?,
        issuer: needed(issuer, "AUTH0_DOMAIN", host)?,
        audience: needed(audience, "AUTH0_AUDIENCE", "the audience that tokens are issued for")?,
    }))
}

fn redis(env: Env<'_>) -> Result<Option<RedisConfig>, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" | "open" => Ok(OnFailure::Open),
        "closed" => Ok(OnFailure::Closed),
        _ => Err("no such way".to_owned()),
    };
    let default = OnFailure::default();
    let on_failure = env.with("REDIS_FAILURE", default, parse, || "open or closed".to_owned())?;
    let Some(url) = env.filled("REDIS_URL") else { return Ok(None) };
    if let Err(error) = redis::Client::open(url.as_str()) {
        // Not the value: it may bear a password.
        return Err(ConfigError {
            variable: "REDIS_URL",
            value: "(hidden)".to_owned(),
            problem: error.to_string(),
            allowed:
                "redis://, or rediss:// with TLS, then [:<password>@]<host>[:<port>][/<database>]"
                    .to_owned(),
        });
    }
    Ok(Some(RedisConfig { url, on_failure }))
}

fn ticket_key(env: Env<'_>) -> Result<Option<String>, ConfigError> {
    const VARIABLE: &str = "TICKET_SIGNING_KEY";
    let Some(value) = env.filled(VARIABLE) else { return Ok(None) };
    let wrong = |value: &str, problem: String| ConfigError {
        variable: VARIABLE,
        value: value.to_owned(),
        problem,
        allowed: "an Ed25519 private key in PEM (PKCS #8), or a file of it".to_owned(),
    };
    let (shown, pem) = if value.starts_with("-----BEGIN") {
        // Environment files have no line ends in values.
        ("(hidden)", value.replace("\\n", "\n"))
    } else {
        let read = fs::read_to_string(Path::new(&value));
        (value.as_str(), read.map_err(|error| wrong(&value, error.to_string()))?)
    };
    match crate::TicketSigner::from_pem(&pem) {
        Ok(_) => Ok(Some(pem)),
        Err(error) => Err(wrong(shown, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<AccessConfig, ConfigError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        AccessConfig::from_env(Env::new(&lookup))
    }

    #[test]
    fn nothing_set_lets_everybody_in_and_keeps_all_in_memory() {
        assert_eq!(read(&[]).expect("allowed"), AccessConfig::default());
        let off = [("ENABLE_AUTH", "false"), ("AUTH0_DOMAIN", "d.example"), ("REDIS_URL", "")];
        assert_eq!(read(&off).expect("allowed"), AccessConfig::default());
    }

    #[test]
    fn a_domain_gives_keys_and_issuer_and_each_can_be_another() {
        let base =
            [("ENABLE_AUTH", "true"), ("AUTH0_DOMAIN", "d.example"), ("AUTH0_AUDIENCE", "a")];
        let auth = read(&base).expect("allowed").auth.expect("on");
        assert_eq!(auth.jwks, "https://d.example/.well-known/jwks.json");
        assert_eq!((auth.issuer.as_str(), auth.audience.as_str()), ("https://d.example/", "a"));
        let own = [("JWKS_URL", "http://127.0.0.1:1/k"), ("JWT_ISSUER", "me")];
        let both = [&base[..], &own].concat();
        let auth = read(&both).expect("allowed").auth.expect("on");
        assert_eq!((auth.jwks.as_str(), auth.issuer.as_str()), ("http://127.0.0.1:1/k", "me"));
        let without_domain = [&base[..1], &base[2..], &own].concat();
        assert!(read(&without_domain).expect("allowed").auth.is_some());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let on = ("ENABLE_AUTH", "true");
        for (variables, variable, allowed) in [
            (&[on][..], "AUTH0_DOMAIN", "JWKS_URL and JWT_ISSUER"),
            (&[on, ("AUTH0_DOMAIN", "d.example")], "AUTH0_AUDIENCE", "audience"),
            (
                &[on, ("JWKS_URL", "http://x/"), ("AUTH0_AUDIENCE", "a")],
                "AUTH0_DOMAIN",
                "JWT_ISSUER",
            ),
            (&[("AUTH0_DOMAIN", "https://d.example/")], "AUTH0_DOMAIN", "a host such as"),
            (&[("ENABLE_AUTH", "yes")], "ENABLE_AUTH", "true or false"),
            (&[("REDIS_FAILURE", "ajar")], "REDIS_FAILURE", "open or closed"),
            (&[("REDIS_URL", "http://:secret@h")], "REDIS_URL", "rediss://"),
            (&[("TICKET_SIGNING_KEY", "/does/not/exist")], "TICKET_SIGNING_KEY", "Ed25519"),
            (&[("TICKET_SIGNING_KEY", "-----BEGIN secret")], "TICKET_SIGNING_KEY", "PKCS #8"),
        ] {
            let error = read(variables).expect_err(variable);
            assert_eq!(error.variable, variable);
            let text = error.to_string();
            assert!(text.contains(allowed) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_written() {
        let config =
            read(&[("REDIS_URL", "redis://:secret@127.0.0.1"), ("REDIS_FAILURE", "closed")]);
        let config = config.expect("allowed");
        assert!(!format!("{config:?}").contains("secret"));
        assert_eq!(config.redis.expect("set").on_failure, OnFailure::Closed);
    }

    #[test]
    fn a_key_comes_from_a_file_or_the_value_itself() {
        let pem = crate::TicketSigner::generate_pem();
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &pem).expect("written");
        let path = file.path().to_string_lossy();
        let in_one_line = pem.trim().replace('\n', "\\n");
        for value in [&*path, &pem, &in_one_line] {
            let key = read(&[("TICKET_SIGNING_KEY", value)]).expect("allowed").ticket_key;
            assert_eq!(key.expect("set").trim(), pem.trim());
        }
    }

    #[test]
    fn every_variable_that_is_read_is_in_the_help() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let lookup = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            None
        };
        assert!(AccessConfig::from_env(Env::new(&lookup)).is_ok());
        for name in asked.borrow().iter() {
            assert!(VARIABLES.iter().any(|(listed, _, _)| listed == name), "{name}");
        }
    }
}
