//! Reading one variable the way Go programs do.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use super::ConfigError;

/// Where variables come from. One that is set, even to nothing, replaces the default.
pub(super) struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Env<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// Returns the value as written, none when it is not set. Two quotation marks alone, which a
    /// compose list passes literally, are nothing.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        Some(if value.trim() == "\"\"" { String::new() } else { value })
    }

    /// Returns the entries of a comma list, trimmed, without blank ones.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::to_owned).collect()
    }

    /// Returns a TCP port.
    pub(super) fn port(&self, name: &'static str, default: u16) -> Result<u16, ConfigError> {
        self.integer(name, 0..=u16::MAX, default)
    }

    /// Returns a decimal integer in `range`.
    pub(super) fn integer<T>(
        &self,
        name: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let parse =
            |text: &str| in_range(text.trim().parse::<T>().ok(), "not an integer in range", &range);
        self.with(name, default, parse, || {
            format!("an integer from {} to {}", range.start(), range.end())
        })
    }

    /// Returns a number in `range`.
    pub(super) fn float(
        &self,
        name: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64, ConfigError> {
        let parse = |text: &str| in_range(text.trim().parse::<f64>().ok(), "not a number", &range);
        self.with(name, default, parse, || {
            format!("a number from {} to {}", range.start(), range.end())
        })
    }

    /// Returns what `parse` makes of the value.
    pub(super) fn with<T>(
        &self,
        name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
        allowed: impl Fn() -> String,
    ) -> Result<T, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        parse(&text).map_err(|problem| self.error(name, problem, &allowed()))
    }

    /// Makes the error for a variable, with its value as set.
    pub(super) fn error(
        &self,
        variable: &'static str,
        problem: String,
        allowed: &str,
    ) -> ConfigError {
        let value = (self.lookup)(variable).unwrap_or_default();
        ConfigError { variable, value, problem, allowed: allowed.to_owned() }
    }
}

fn in_range<T: PartialOrd>(
    value: Option<T>,
    otherwise: &str,
    range: &RangeInclusive<T>,
) -> Result<T, String> {
    let value = value.ok_or_else(|| otherwise.to_owned())?;
    if range.contains(&value) { Ok(value) } else { Err("out of range".to_owned()) }
}
