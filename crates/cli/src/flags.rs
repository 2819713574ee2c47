//! Flags in the manner of Go's `flag` package: one or two dashes, `-name=value` or `-name value`,
//! parsing stops at the first argument that is no flag, or behind `--`.

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _, time::Duration};

use api::go_duration;

use crate::go_text;

/// How Go reads a boolean.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "FALSE", "false", "False"];

/// What Go says of a value that it cannot read.
const PARSE_ERROR: &str = "parse error";
/// What Go says of an integer that has no room in 64 bits.
const RANGE_ERROR: &str = "value out of range";

/// The flags of one program.
#[derive(Debug)]
pub struct Flags {
    program: String,
    about: &'static str,
    defined: Vec<Defined>,
}

/// A flag.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) name: &'static str,
    kind: Kind,
    default: String,
    pub(crate) usage: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Switch,
    Duration,
}

/// What was given, defaults filled in.
#[derive(Debug)]
pub struct Parsed {
    values: BTreeMap<&'static str, String>,
    /// What follows the flags.
    pub rest: Vec<String>,
}

/// Why the program ends before it begins: what to print on stderr, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    /// Text for stderr, lines ended.
    pub text: String,
    /// 0 for help, 2 for a mistake.
    pub code: u8,
}

impl Flags {
    /// Begins the flags of `program`, named as it was called; `about` says what it does.
    pub fn new(program: &str, about: &'static str) -> Self {
        Self { program: program.to_owned(), about, defined: Vec::new() }
    }

    /// Adds a flag that takes any text.
    #[must_use]
    pub fn text(self, name: &'static str, default: &str, usage: &'static str) -> Self {
        self.add(name, Kind::Text, default.to_owned(), usage)
    }

    /// Adds a flag that takes an integer.
    #[must_use]
    pub fn integer(self, name: &'static str, default: i64, usage: &'static str) -> Self {
        self.add(name, Kind::Integer, default.to_string(), usage)
    }

    /// Adds a flag that takes a decimal number.
    #[must_use]
    pub fn number(self, name: &'static str, default: f64, usage: &'static str) -> Self {
        self.add(name, Kind::Number, default.to_string(), usage)
    }

    /// Adds a flag that is off unless it is given, as `-name` or `-name=true`.
    #[must_use]
    pub fn switch(self, name: &'static str, usage: &'static str) -> Self {
        self.add(name, Kind::Switch, "false".to_owned(), usage)
    }

    /// Adds a flag that takes a duration such as `1m30s`.
    #[must_use]
    pub fn duration(self, name: &'static str, default: Duration, usage: &'static str) -> Self {
        self.add(name, Kind::Duration, go_duration::written(default), usage)
    }

    fn add(mut self, name: &'static str, kind: Kind, default: String, usage: &'static str) -> Self {
        self.defined.push(Defined { name, kind, default, usage });
        self
    }

    /// Parses the arguments of this process.
    ///
    /// # Errors
    ///
    /// Those of [`Flags::parse`], and [`Exit`] for an argument that is not UTF-8.
    pub fn parse_process(&self) -> Result<Parsed, Exit> {
        self.parse_os(std::env::args_os().skip(1))
    }

    fn parse_os(&self, arguments: impl Iterator<Item = OsString>) -> Result<Parsed, Exit> {
        let text = |argument: OsString| {
            argument.into_string().map_err(|argument| {
                let shown = go_text::quote(&argument.to_string_lossy());
                self.mistake(&format!("an argument is not UTF-8: {shown}"))
            })
        };
        self.parse(arguments.map(text).collect::<Result<Vec<_>, _>>()?)
    }

    /// Parses the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// Returns [`Exit`] for help (`-h`, `-help`), an unknown flag, or a value that does not parse.
    pub fn parse(&self, arguments: impl IntoIterator<Item = String>) -> Result<Parsed, Exit> {
        let defaults = self.defined.iter().map(|flag| (flag.name, flag.default.clone()));
        let mut parsed = Parsed { values: defaults.collect(), rest: Vec::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(flag) = dashed(&argument) else {
                parsed.rest.push(argument);
                break;
            };
            if flag.is_empty() {
                break;
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if name.is_empty() || name.starts_with('-') {
                return Err(self.mistake(&format!("bad flag syntax: {argument}")));
            }
            let Some(defined) = self.defined.iter().find(|defined| defined.name == name) else {
                if name == "h" || name == "help" {
                    return Err(Exit { text: self.usage(), code: 0 });
                }
                return Err(self.mistake(&format!("flag provided but not defined: -{name}")));
            };
            let value = match (value, defined.kind) {
                (None, Kind::Switch) => "true".to_owned(),
                (value, _) => value
                    .or_else(|| arguments.next())
                    .ok_or_else(|| self.mistake(&format!("flag needs an argument: -{name}")))?,
            };
            if let Err(reason) = defined.kind.check(&value) {
                let quoted = go_text::quote(&value);
                // Go says it so: no "flag" where the value is a boolean.
                let text = match defined.kind {
                    Kind::Switch => format!("invalid boolean value {quoted} for -{name}: {reason}"),
                    Kind::Text | Kind::Integer | Kind::Number | Kind::Duration => {
                        format!("invalid value {quoted} for flag -{name}: {reason}")
                    }
                };
                return Err(self.mistake(&text));
            }
            parsed.values.insert(defined.name, value);
        }
        parsed.rest.extend(arguments);
        Ok(parsed)
    }

    fn mistake(&self, what: &str) -> Exit {
        Exit { text: format!("{what}\n{}", self.usage()), code: 2 }
    }

    /// Returns the usage text.
    fn usage(&self) -> String {
        let mut text = format!("Usage of {}:\n", self.program);
        for flag in self.sorted() {
            let (name, kind, usage) = (flag.name, flag.kind(), flag.usage);
            let default = flag.shown_default();
            // Writing to a string does not fail.
            let _written = writeln!(text, "  -{name}{kind}\n    \t{usage}{default}");
        }
        text
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    pub(crate) fn about(&self) -> &'static str {
        self.about
    }

    /// Returns the flags in alphabetical order.
    pub(crate) fn sorted(&self) -> Vec<&Defined> {
        let mut flags: Vec<&Defined> = self.defined.iter().collect();
        flags.sort_by_key(|flag| flag.name);
        flags
    }
}

impl Defined {
    /// What stands behind the name: a space and what the value is; nothing of a switch.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// What stands behind the meaning: a space and the default in brackets, or nothing.
    pub(crate) fn shown_default(&self) -> String {
        match self.kind {
            _ if ["", "0", "0s", "false"].contains(&self.default.as_str()) => String::new(),
            Kind::Text => format!(" (default {})", go_text::quote(&self.default)),
            Kind::Integer | Kind::Number | Kind::Switch | Kind::Duration => {
                format!(" (default {})", self.default)
            }
        }
    }
}

/// Returns what follows one or two dashes; `None` when the argument is no flag.
fn dashed(argument: &str) -> Option<&str> {
    let one = argument.strip_prefix('-')?;
    match one.strip_prefix('-') {
        Some(two) => Some(two),
        // A dash alone is an argument.
        None => (!one.is_empty()).then_some(one),
    }
}

impl Kind {
    /// Checks a value; returns what Go says of a wrong one.
    fn check(self, value: &str) -> Result<(), &'static str> {
        let is_sound = match self {
            Self::Text => true,
            Self::Integer => return integer(value).map(drop),
            Self::Number => value.parse::<f64>().is_ok(),
            Self::Switch => TRUE.contains(&value) || FALSE.contains(&value),
            Self::Duration => go_duration::parse(value).is_some(),
        };
        if is_sound { Ok(()) } else { Err(PARSE_ERROR) }
    }

    /// What the usage says behind the name.
    fn name(self) -> &'static str {
        match self {
            Self::Text => " string",
            Self::Integer => " int",
            Self::Number => " float",
            Self::Switch => "",
            Self::Duration => " duration",
        }
    }
}

/// Reads an integer as Go's `ParseInt` does with base 0: `0x`, `0o` or `0`, and `0b` before the digits
/// name their base, and in such a literal underscores may separate digits, behind the base as well.
fn integer(text: &str) -> Result<i64, &'static str> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = rest.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    // An underscore stands between digits; a base counts as one.
    let digits = if base == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    let is_sound = digits
        .split('_')
        .all(|group| !group.is_empty() && group.chars().all(|digit| digit.is_digit(base)));
    if !is_sound {
        return Err(PARSE_ERROR);
    }
    // Only the range is left to be wrong.
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base)
        .map_err(|_| RANGE_ERROR)
}

impl Parsed {
    /// Returns the value of a text flag; empty if there is no such flag.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Returns the value of an integer flag; 0 if there is no such flag.
    pub fn integer(&self, name: &str) -> i64 {
        integer(self.text(name)).unwrap_or(0)
    }

    /// Returns the value of a number flag; 0 if there is no such flag.
    pub fn number(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or(0.0)
    }

    /// Returns whether a switch is on.
    pub fn switch(&self, name: &str) -> bool {
        TRUE.contains(&self.text(name))
    }

    /// Returns the value of a duration flag; negative ones are 0, as is that of no such flag.
    pub fn duration(&self, name: &str) -> Duration {
        go_duration::parse(self.text(name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags::new("./client", "tries flags")
            .text("topic", "", "topic name")
            .text("addr", "localhost:1", "where")
            .integer("count", 1, "how many")
            .duration("sleep", Duration::ZERO, "pause")
            .number("share", 0.1, "how much")
            .switch("quiet", "say nothing")
    }

    fn parse(arguments: &[&str]) -> Result<Parsed, Exit> {
        flags().parse(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn one_and_two_dashes_with_and_without_equals_mean_the_same() {
        for arguments in [&["-topic=a"][..], &["--topic=a"], &["-topic", "a"], &["--topic", "a"]] {
            assert_eq!(parse(arguments).expect("sound").text("topic"), "a", "{arguments:?}");
        }
    }

    #[test]
    fn what_is_not_given_has_its_default_and_what_is_given_twice_its_last_value() {
        let parsed = parse(&["-count=3", "-count", "7", "-sleep=1m30s"]).expect("sound");
        assert_eq!(parsed.text("addr"), "localhost:1");
        assert_eq!(parsed.integer("count"), 7);
        assert_eq!(parsed.duration("sleep"), Duration::from_secs(90));
    }

    #[test]
    fn integers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("7", Ok(7)),
            ("+7", Ok(7)),
            ("-7", Ok(-7)),
            ("0", Ok(0)),
            ("0x10", Ok(16)),
            ("0X_1f", Ok(31)),
            ("-0b101", Ok(-5)),
            ("0o17", Ok(15)),
            ("017", Ok(15)),
            ("0_7", Ok(7)),
            ("1_000", Ok(1000)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("-9223372036854775809", Err(RANGE_ERROR)),
            ("0xffffffffffffffff", Err(RANGE_ERROR)),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
        let wrong =
            ["", "-", "+-1", "08", "0x", "0b2", "_1", "1_", "1__0", "1e3", "1.0", " 1", "é"];
        for text in wrong {
            assert_eq!(integer(text), Err(PARSE_ERROR), "{text}");
        }
        assert_eq!(parse(&["-count=0x10"]).expect("sound").integer("count"), 16);
    }

    #[test]
    fn a_switch_takes_no_argument_of_its_own() {
        for (arguments, is_on) in [
            (&["-topic=a"][..], false),
            (&["-quiet"], true),
            (&["--quiet=T"], true),
            (&["-quiet", "-quiet=false"], false),
        ] {
            assert_eq!(parse(arguments).expect("sound").switch("quiet"), is_on, "{arguments:?}");
        }
        let parsed = parse(&["-quiet", "false", "-topic=a"]).expect("sound");
        assert!(parsed.switch("quiet") && parsed.text("topic").is_empty());
        assert_eq!(parsed.rest, ["false", "-topic=a"]);
    }

    #[cfg(unix)]
    #[test]
    fn an_argument_that_is_not_utf_8_is_a_mistake() {
        use std::os::unix::ffi::OsStringExt as _;
        let arguments = [OsString::from_vec(vec![b'a', 0xff])];
        let exit = flags().parse_os(arguments.into_iter()).expect_err("a mistake");
        assert_eq!(exit.code, 2);
        assert!(exit.text.starts_with("an argument is not UTF-8: \"a\u{fffd}\"\n"), "{exit:?}");
    }

    #[test]
    fn values_may_hold_equals_signs_dashes_and_nothing() {
        let parsed = parse(&["-topic=a=b", "-addr", "-x"]).expect("sound");
        assert_eq!((parsed.text("topic"), parsed.text("addr")), ("a=b", "-x"));
        assert_eq!(parse(&["-topic="]).expect("sound").text("topic"), "");
    }

    #[test]
    fn parsing_stops_at_the_first_argument_that_is_no_flag_and_behind_two_dashes() {
        for (arguments, rest) in [
            (&["-count=2", "word", "-topic=a"][..], &["word", "-topic=a"][..]),
            (&["--", "-topic=a"], &["-topic=a"]),
            (&["-", "x"], &["-", "x"]),
        ] {
            let parsed = parse(arguments).expect("sound");
            assert_eq!(parsed.rest, rest, "{arguments:?}");
            assert_eq!(parsed.text("topic"), "", "{arguments:?}");
        }
    }

    #[test]
    fn mistakes_end_with_code_2_and_say_what_is_wrong_before_the_usage() {
        for (arguments, line) in [
            (&["-x"][..], "flag provided but not defined: -x"),
            (&["--long=1"], "flag provided but not defined: -long"),
            (&["-topic"], "flag needs an argument: -topic"),
            (&["-count=many"], "invalid value \"many\" for flag -count: parse error"),
            (
                &["-count=9223372036854775808"],
                "invalid value \"9223372036854775808\" for flag -count: value out of range",
            ),
            (&["-sleep=5"], "invalid value \"5\" for flag -sleep: parse error"),
            (&["-share=half"], "invalid value \"half\" for flag -share: parse error"),
            (&["-quiet=no"], "invalid boolean value \"no\" for -quiet: parse error"),
            (&["---topic"], "bad flag syntax: ---topic"),
            (&["-=1"], "bad flag syntax: -=1"),
        ] {
            let exit = parse(arguments).expect_err("a mistake");
            assert_eq!(exit.code, 2, "{arguments:?}");
            assert!(exit.text.starts_with(&format!("{line}\nUsage of ./client:\n")), "{exit:?}");
        }
    }

    #[test]
    fn help_ends_with_code_0_and_lists_the_flags_with_their_defaults() {
        for argument in ["-h", "--help", "-help"] {
            let exit = parse(&[argument]).expect_err("help");
            assert_eq!(exit.code, 0);
            let expected = concat!(
                "Usage of ./client:\n",
                "  -addr string\n    \twhere (default \"localhost:1\")\n",
                "  -count int\n    \thow many (default 1)\n",
                "  -quiet\n    \tsay nothing\n",
                "  -share float\n    \thow much (default 0.1)\n",
                "  -sleep duration\n    \tpause\n",
                "  -topic string\n    \ttopic name\n",
            );
            assert_eq!(exit.text, expected);
        }
    }
}
