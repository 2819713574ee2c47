//! Where the machine is: a fixed place, or a look-up in a local database. No service is asked.

use std::{net::IpAddr, path::PathBuf};

use maxminddb::{Reader, geoip2};
use thiserror::Error;

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

/// Where the machine is, as far as that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// English name of the country, or [`UNKNOWN`].
    pub country: String,
    /// Two letters of the country, or [`UNKNOWN`].
    pub country_iso: String,
    /// Latitude and longitude in degrees.
    pub coordinates: Option<(f64, f64)>,
}

impl Default for Place {
    fn default() -> Self {
        Self { country: UNKNOWN.to_owned(), country_iso: UNKNOWN.to_owned(), coordinates: None }
    }
}

/// A database that cannot be used.
#[derive(Debug, Error)]
#[error("GEOIP_DB={}: {source}", .database.display())]
pub struct DatabaseError {
    /// The file.
    pub database: PathBuf,
    /// What is wrong with it.
    pub source: maxminddb::MaxMindDbError,
}

impl GeoConfig {
    /// Returns where the machine with this public address is. The fixed variables win, each for
    /// itself; the rest is looked up in the database; what neither says stays unknown.
    ///
    /// # Errors
    ///
    /// Returns [`DatabaseError`] if the database cannot be read, whether or not it is needed.
    pub fn place(&self, public: Option<IpAddr>) -> Result<Place, DatabaseError> {
        let mut place = Place::default();
        if let Some(database) = &self.database {
            let error = |source| DatabaseError { database: database.clone(), source };
            let reader = Reader::open_readfile(database).map_err(error)?;
            if let Some(address) = public {
                place.look_up(&reader, address).map_err(error)?;
            }
        }
        place.country = self.country.clone().unwrap_or(place.country);
        place.country_iso = self.country_iso.clone().unwrap_or(place.country_iso);
        place.coordinates = self.coordinates.or(place.coordinates);
        Ok(place)
    }
}

impl Place {
    fn look_up(
        &mut self,
        reader: &Reader<Vec<u8>>,
        address: IpAddr,
    ) -> Result<(), maxminddb::MaxMindDbError> {
        // Databases of countries have the same fields as those of cities, only fewer.
        let Some(found) = reader.lookup(address)?.decode::<geoip2::City<'_>>()? else {
            return Ok(());
        };
        let known = |text: Option<&str>, old: &str| text.unwrap_or(old).to_owned();
        self.country = known(found.country.names.english, &self.country);
        self.country_iso = known(found.country.iso_code, &self.country_iso);
        self.coordinates = found.location.latitude.zip(found.location.longitude);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text(value: &str) -> Vec<u8> {
        [&[0x40 | value.len() as u8], value.as_bytes()].concat()
    }

    fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xe0 | entries.len() as u8];
        for (key, value) in entries {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        bytes
    }

    fn double(value: f64) -> Vec<u8> {
        [&[0x68][..], &value.to_be_bytes()].concat()
    }

    /// A database that knows the one network 203.0.113.0/24: a tree with a node for each of its
    /// 24 bits, one record, and the metadata.
    fn database() -> Vec<u8> {
        const BITS: u32 = 24;
        let network = u32::from_be_bytes([203, 0, 113, 0]);
        let mut bytes = Vec::new();
        for bit in 0..BITS {
            let onward = if bit + 1 == BITS { BITS + 16 } else { bit + 1 };
            let is_right = network >> (31 - bit) & 1 == 1;
            let (left, right) = if is_right { (BITS, onward) } else { (onward, BITS) };
            bytes.extend([left, right].iter().flat_map(|node| node.to_be_bytes()[1..].to_vec()));
        }
        bytes.extend([0; 16]);
        let names = map(&[("en", text("Germany"))]);
        let country = map(&[("iso_code", text("DE")), ("names", names)]);
        let location = map(&[("latitude", double(52.5)), ("longitude", double(13.25))]);
        bytes.extend(map(&[("country", country), ("location", location)]));
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let short = |value: u8| vec![0xa1, value];
        bytes.extend(map(&[
            ("node_count", vec![0xc1, BITS as u8]),
            ("record_size", short(24)),
            ("ip_version", short(4)),
            ("database_type", text("Test-City")),
            ("languages", vec![0x01, 0x04, 0x42, b'e', b'n']),
            ("binary_format_major_version", short(2)),
            ("binary_format_minor_version", short(0)),
            ("build_epoch", vec![0x01, 0x02, 1]),
            ("description", map(&[("en", text("one network"))])),
        ]));
        bytes
    }

    fn with_database(bytes: &[u8]) -> (tempfile::NamedTempFile, GeoConfig) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let config = GeoConfig { database: Some(file.path().to_owned()), ..GeoConfig::default() };
        (file, config)
    }

    #[test]
    fn a_public_address_is_looked_up() {
        let (_file, config) = with_database(&database());
        let place = config.place(Some([203, 0, 113, 77].into())).expect("sound");
        assert_eq!((place.country.as_str(), place.country_iso.as_str()), ("Germany", "DE"));
        assert_eq!(place.coordinates, Some((52.5, 13.25)));
    }

    #[test]
    fn an_address_the_database_does_not_have_is_unknown() {
        let (_file, config) = with_database(&database());
        for address in [None, Some([192, 0, 2, 1].into())] {
            assert_eq!(config.place(address).expect("sound"), Place::default());
        }
    }

    #[test]
    fn what_is_fixed_wins_over_the_database() {
        let (_file, mut config) = with_database(&database());
        config.country = Some("France".to_owned());
        let place = config.place(Some([203, 0, 113, 1].into())).expect("sound");
        assert_eq!((place.country.as_str(), place.country_iso.as_str()), ("France", "DE"));
    }

    #[test]
    fn a_broken_or_missing_database_is_named() {
        let (file, config) = with_database(b"not a database");
        let error = config.place(None).expect_err("broken").to_string();
        let path = file.path().display().to_string();
        assert!(error.contains("GEOIP_DB=") && error.contains(&path), "{error}");
        drop(file);
        config.place(None).expect_err("missing");
    }
}
