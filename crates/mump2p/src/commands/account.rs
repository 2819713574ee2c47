//! `mump2p login`, `logout`, `whoami`, `refresh` and `usage`: what is kept on this machine.

use jiff::Timestamp;
use serde::Serialize;
use token::Limits;

use crate::{
    Context, Error,
    arguments::Global,
    auth::{
        device::Issuer,
        file::{self, AuthFile},
        token::Claims,
    },
    context,
    direct::cache,
    output,
    usage::{self, Counters},
};

/// Shown where limits are in MiB.
const MIB: f64 = 1_048_576.0;

/// Logs in by a code that is confirmed in a browser.
///
/// # Errors
///
/// Returns an error if nobody confirms it.
pub(crate) async fn login(global: &Global) -> Result<(), Error> {
    let path = file::path(global.auth_path.as_deref())?;
    let issuer = Issuer::new(global)?;
    let code = issuer.begin().await?;
    output::plain_line("To log in, open this page in a browser:\n")?;
    output::plain_line(&format!(
        "  {}\n",
        code.verification_uri_complete.as_ref().unwrap_or(&code.verification_uri)
    ))?;
    output::plain_line(&format!("and confirm the code: {}\n", code.user_code))?;
    output::plain_line("Waiting for confirmation... Press Ctrl+C to give up")?;
    let login = issuer.confirmed(&code).await?;
    let claims = Claims::read(&login.token)?;
    login.save(&path)?;
    output::plain_line(&format!(
        "✅ Logged in as {} until {}",
        claims.client_id, login.expires_at
    ))?;
    if !claims.is_active {
        output::note(context::INACTIVE);
    }
    Ok(())
}

/// Forgets the login, and the session made with it.
///
/// # Errors
///
/// Returns an error if a file stays.
pub(crate) fn logout(global: &Global) -> Result<(), Error> {
    let path = file::path(global.auth_path.as_deref())?;
    let was_there = file::remove(&path)?;
    cache::forget(&path)?;
    output::line(if was_there { "✅ Logged out" } else { "Nobody was logged in" })
}

/// Gets a new token.
///
/// # Errors
///
/// Returns an error if nobody is logged in, or the issuer gives none.
pub(crate) async fn refresh(global: &Global) -> Result<(), Error> {
    let path = file::path(global.auth_path.as_deref())?;
    let kept = AuthFile::load(&path)?.ok_or_else(context::nobody)?;
    let Some(refresh_token) = &kept.refresh_token else {
        let text = "the login cannot be renewed (no refresh token): run mump2p login";
        return Err(Error::Login(text.to_owned()));
    };
    let renewed = Issuer::new(global)?.refresh(refresh_token).await?;
    renewed.save(&path)?;
    output::line(&format!("✅ Token refreshed, it holds until {}", renewed.expires_at))
}

#[derive(Serialize)]
struct Named<'a> {
    client_id: &'a str,
    auth_mode: &'static str,
}

#[derive(Serialize)]
struct Who {
    client_id: String,
    expires: String,
    valid_for: String,
    is_active: bool,
    is_expired: bool,
    auth_mode: &'static str,
    rate_limits: RateLimits,
}

#[derive(Serialize)]
struct RateLimits {
    publish_per_hour: u64,
    publish_per_sec: u64,
    max_message_size_mb: f64,
    daily_quota_mb: f64,
}

impl RateLimits {
    fn new(limits: &Limits) -> Self {
        Self {
            publish_per_hour: limits.publishes_per_hour,
            publish_per_sec: limits.publishes_per_second,
            max_message_size_mb: limits.message_bytes_max as f64 / MIB,
            daily_quota_mb: limits.daily_bytes as f64 / MIB,
        }
    }
}

/// Says who is logged in, and what they may do.
///
/// # Errors
///
/// Returns an error if nobody is.
pub(crate) fn whoami(global: &Global, context: &Context) -> Result<(), Error> {
    if global.disable_auth {
        let Some(client_id) = &context.client_id else {
            let text = "--client-id is required when using --disable-auth";
            return Err(Error::Usage(text.to_owned()));
        };
        let named = Named { client_id, auth_mode: "disabled" };
        return context.output.print(&named, |named| {
            format!("Client ID:  {}\nAuth mode:  disabled (no token is shown)", named.client_id)
        });
    }
    let path = file::path(global.auth_path.as_deref())?;
    let kept = AuthFile::load(&path)?.ok_or_else(context::nobody)?;
    let claims = Claims::read(&kept.token)?;
    if file::is_open_to_others(&path) {
        let path = path.display();
        output::note(&format!("others may read {path}: chmod 600 {path}"));
    }
    let valid_for = kept.remaining(Timestamp::now());
    let who = Who {
        client_id: claims.client_id,
        expires: kept.expires_at.to_string(),
        valid_for: usage::written(valid_for),
        is_active: claims.is_active,
        is_expired: valid_for.is_zero(),
        auth_mode: "token",
        rate_limits: RateLimits::new(&claims.limits),
    };
    context.output.print(&who, |who| {
        let limits = &who.rate_limits;
        let expired = if who.is_expired { " (expired: run mump2p refresh or mump2p login)" } else { "" };
        format!(
            "Client ID:  {}\nExpires:    {}{expired}\nValid for:  {}\nActive:     {}\nLimits:\n  \
             Publishes:      {}/hour, {}/sec\n  Message size:   {:.2} MB\n  Daily quota:    {:.2} MB",
            who.client_id,
            who.expires,
            who.valid_for,
            if who.is_active { "yes" } else { "no (please contact support)" },
            limits.publish_per_hour,
            limits.publish_per_sec,
            limits.max_message_size_mb,
            limits.daily_quota_mb,
        )
    })
}

#[derive(Serialize)]
struct Used {
    publish_count: u64,
    publish_limit_per_hour: u64,
    second_publish_count: u64,
    publish_limit_per_sec: u64,
    bytes_published_mb: f64,
    daily_quota_mb: f64,
    next_reset: String,
    time_until_reset: String,
    last_publish_time: String,
    last_subscribe_time: String,
}

impl Used {
    fn new(counters: &Counters, limits: &Limits, now: Timestamp) -> Self {
        let time = |time| if usage::is_never(time) { "never".to_owned() } else { time.to_string() };
        Self {
            publish_count: counters.publish_count,
            publish_limit_per_hour: limits.publishes_per_hour,
            second_publish_count: counters.second_publish_count,
            publish_limit_per_sec: limits.publishes_per_second,
            bytes_published_mb: counters.bytes_published as f64 / MIB,
            daily_quota_mb: limits.daily_bytes as f64 / MIB,
            next_reset: counters.next_reset().to_string(),
            time_until_reset: usage::written(counters.resets_in(now)),
            last_publish_time: time(counters.last_publish_time),
            last_subscribe_time: time(counters.last_sub_time),
        }
    }
}

/// Says what was published so far, and what may be.
///
/// # Errors
///
/// Returns an error if the counters cannot be read.
pub(crate) fn usage(global: &Global, context: &Context) -> Result<(), Error> {
    let path = file::path(global.auth_path.as_deref())?;
    let kept = if global.disable_auth { None } else { AuthFile::load(&path)? };
    let claims = kept.map(|kept| Claims::read(&kept.token)).transpose()?;
    let (subject, limits) = match &claims {
        Some(claims) => (Some(claims.subject.as_str()), claims.limits),
        None => (None, Limits::default()),
    };
    let now = Timestamp::now();
    let counters = usage::file::look(&usage::file::path(&path, subject), now)?;
    if claims.is_none() {
        output::note("nobody is logged in: only what is published with a login is counted");
    }
    context.output.print(&Used::new(&counters, &limits, now), |used| {
        format!(
            "Published:       {} of {}/hour, {} of {}/sec\nData:            {:.4} of {:.4} MB\n\
             Resets:          {} (in {})\nLast published:  {}\nLast subscribed: {}",
            used.publish_count,
            used.publish_limit_per_hour,
            used.second_publish_count,
            used.publish_limit_per_sec,
            used.bytes_published_mb,
            used.daily_quota_mb,
            used.next_reset,
            used.time_until_reset,
            used.last_publish_time,
            used.last_subscribe_time,
        )
    })
}

/// Where the counters of the client of a context are; none where nothing is counted, because no
/// limit is known without a token.
pub(crate) fn counters(
    global: &Global,
    context: &Context,
) -> Result<Option<std::path::PathBuf>, Error> {
    if context.limits.is_none() {
        return Ok(None);
    }
    let path = file::path(global.auth_path.as_deref())?;
    Ok(Some(usage::file::path(&path, context.subject.as_deref())))
}
