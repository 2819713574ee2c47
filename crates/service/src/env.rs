//! Settings from environment variables, read the way Go programs do.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use thiserror::Error;

/// A value that a daemon does not start with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}={value:?}: {problem}; allowed: {allowed}")]
pub struct ConfigError {
    /// The environment variable.
    pub variable: &'static str,
    /// What it was set to.
    pub value: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
}

/// Finds a variable of the process.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Where variables come from. One that is set, even to nothing, replaces the default.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Env<'a> {
    /// Reads from wherever `lookup` finds variables.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// Returns the value as written, none when it is not set. Two quotation marks alone, which a
    /// compose list passes literally, are nothing.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        Some(if value.trim() == "\"\"" { String::new() } else { value })
    }

    /// Returns the entries of a comma list, trimmed, without blank ones.
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::to_owned).collect()
    }

    /// Returns a TCP port.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none.
    pub fn port(&self, name: &'static str, default: u16) -> Result<u16, ConfigError> {
        self.integer(name, 0..=u16::MAX, default)
    }

    /// Returns a decimal integer in `range`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none.
    pub fn integer<T>(
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
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none.
    pub fn float(
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

    /// Returns a truth: 1, t, T, TRUE, true, True or 0, f, F, FALSE, false, False.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none.
    pub fn boolean(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        let parse = |text: &str| match text.trim() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err("neither true nor false".to_owned()),
        };
        self.with(name, default, parse, || "true or false".to_owned())
    }

    /// Returns the value trimmed, none when it is not set or empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        let text = self.text(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Returns what `parse` makes of the value.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for a value that is none.
    pub fn with<T>(
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
    pub fn error(&self, variable: &'static str, problem: String, allowed: &str) -> ConfigError {
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
