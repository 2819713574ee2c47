//! Who is logged in: the file that keeps the login, the tokens in it, and the issuer they come from.

pub(crate) mod device;
pub(crate) mod file;
pub(crate) mod token;

use std::time::Duration;

use jiff::Timestamp;

use self::{device::Issuer, file::AuthFile, token::Claims};
use crate::{Error, arguments::Global, output};

/// A token that holds for less is renewed before it is used.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// What the file keeps.
    pub(crate) file: AuthFile,
    /// What its token says.
    pub(crate) claims: Claims,
}

/// Returns who is logged in, by a token that still holds; nobody where there is no file.
///
/// # Errors
///
/// Returns an error if the file cannot be read, or the login expired and cannot be renewed.
pub(crate) async fn login(global: &Global) -> Result<Option<Login>, Error> {
    let path = file::path(global.auth_path.as_deref())?;
    let Some(mut kept) = AuthFile::load(&path)? else { return Ok(None) };
    if kept.remaining(Timestamp::now()) < RENEW_BEFORE {
        kept = renewed(global, kept).await?;
        kept.save(&path)?;
    }
    let claims = Claims::read(&kept.token)?;
    Ok(Some(Login { file: kept, claims }))
}

/// Renews a login that is about to end. One that still holds is used as it is if that fails.
async fn renewed(global: &Global, kept: AuthFile) -> Result<AuthFile, Error> {
    let holds = !kept.remaining(Timestamp::now()).is_zero();
    let renewed = match (&kept.refresh_token, Issuer::new(global)) {
        (Some(refresh), Ok(issuer)) => issuer.refresh(refresh).await,
        (None, _) => Err(Error::Login("it cannot be renewed (no refresh token)".to_owned())),
        (_, Err(error)) => Err(error),
    };
    match renewed {
        Ok(renewed) => Ok(renewed),
        Err(error) if holds => {
            output::note(&format!(
                "the login ends at {} and is not renewed: {error}",
                kept.expires_at
            ));
            Ok(kept)
        }
        Err(error) => Err(Error::Login(format!(
            "the login expired at {}, and renewing it failed: {error}\n  log in again: mump2p login",
            kept.expires_at
        ))),
    }
}
