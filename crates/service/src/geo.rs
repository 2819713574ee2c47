//! Where the machine is: a fixed place, or a look-up in a local database. No service is asked.

use std::path::PathBuf;

use crate::env::{ConfigError, Env};

/// What a place is called that is not known.
pub const UNKNOWN: &str = "unknown";

/// How a daemon learns where it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoConfig {
    /// `GEOIP_DB`: a database in the format of `MaxMind`.
    pub database: Option<PathBuf>,
    /// `GEO_COUNTRY`: the English name.
    pub country: Option<String>,
    /// `GEO_COUNTRY_ISO`: two letters.
    pub country_iso: Option<String>,
    /// `GEO_LATITUDE` and `GEO_LONGITUDE` in degrees.
    pub coordinates: Option<(f64, f64)>,
}

/// The help text's list of variables: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("GEOIP_DB", "(none)", "path of a MaxMind-format database to look the public address up in"),
    ("GEO_COUNTRY", "(none)", "fixed place: English name of the country"),
    ("GEO_COUNTRY_ISO", "(none)", "fixed place: two letters of the country"),
    ("GEO_LATITUDE", "(none)", "fixed place: degrees, -90 to 90; needs GEO_LONGITUDE"),
    ("GEO_LONGITUDE", "(none)", "fixed place: degrees, -180 to 180; needs GEO_LATITUDE"),
];

impl GeoConfig {
    /// Reads the variables.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none, or one coordinate without the other.
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        let iso = |text: &str| match text.trim() {
            "" => Ok(None),
            iso if iso.len() == 2 && iso.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Ok(Some(iso.to_ascii_uppercase()))
            }
            _ => Err("no country's two letters".to_owned()),
        };
        Ok(Self {
            database: env.filled("GEOIP_DB").map(PathBuf::from),
            country: env.filled("GEO_COUNTRY"),
            country_iso: env
                .with("GEO_COUNTRY_ISO", None, iso, || "two letters, or empty".to_owned())?,
            coordinates: coordinates(env)?,
        })
    }
}

fn coordinates(env: Env<'_>) -> Result<Option<(f64, f64)>, ConfigError> {
    let degrees = |name, max: f64| match env.filled(name) {
        None => Ok(None),
        Some(_) => env.float(name, -max..=max, 0.0).map(Some),
    };
    match (degrees("GEO_LATITUDE", 90.0)?, degrees("GEO_LONGITUDE", 180.0)?) {
        (Some(latitude), Some(longitude)) => Ok(Some((latitude, longitude))),
        (None, None) => Ok(None),
        (latitude, _) => {
            let missing = if latitude.is_none() { "GEO_LATITUDE" } else { "GEO_LONGITUDE" };
            let problem = "one coordinate alone is no place".to_owned();
            Err(env.error(missing, problem, "both GEO_LATITUDE and GEO_LONGITUDE, or neither"))
        }
    }
}
