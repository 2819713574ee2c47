//! `mump2p login` and `mump2p refresh`.

/// Who issues tokens.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Domain of the issuer of tokens (an Auth0 tenant).
    #[arg(long = "auth-domain", env = "MUMP2P_AUTH_DOMAIN", value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// What this program is called there.
    #[arg(long = "auth-client-id", env = "MUMP2P_AUTH_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// Whom tokens are for.
    #[arg(long = "auth-audience", env = "MUMP2P_AUTH_AUDIENCE", value_name = "AUDIENCE")]
    pub audience: Option<String>,
}
