//! The query of `/api/v1/topics`: what a stranger writes after the question mark.

use thiserror::Error;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicsQuery {
    /// Only this topic.
    pub topic: Option<String>,
    /// With each subscriber.
    pub nodeinfo: bool,
}

/// Why a query means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It has a `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the query is not percent-encoded UTF-8")]
    Encoding,
    /// A value that means nothing.
    #[error("nodeinfo is {0:?}; it must be true or false")]
    NodeInfo(String),
}

/// Reads a query, without its question mark. Names that are not known mean nothing; of a name that
/// comes twice the last counts.
///
/// # Errors
///
/// Returns [`QueryError`] for wrong encoding or a wrong value.
pub fn parse(query: &str) -> Result<TopicsQuery, QueryError> {
    let mut wanted = TopicsQuery::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value)?;
        match decode(name)?.as_str() {
            "topic" => wanted.topic = (!value.is_empty()).then_some(value),
            "nodeinfo" => wanted.nodeinfo = truth(&value)?,
            _ => {}
        }
    }
    Ok(wanted)
}

fn truth(value: &str) -> Result<bool, QueryError> {
    match value {
        "true" | "1" => Ok(true),
        "" | "false" | "0" => Ok(false),
        _ => Err(QueryError::NodeInfo(value.chars().take(64).collect())),
    }
}

fn decode(text: &str) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let (Some(high), Some(low)) = (high, low) else { return Err(QueryError::Encoding) };
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| QueryError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_the_last_counts() {
        let wanted = TopicsQuery { topic: Some("a b/ü".to_owned()), nodeinfo: true };
        assert_eq!(parse("topic=x&to%70ic=a+b%2F%c3%BC&nodeinfo=true&other"), Ok(wanted));
        assert_eq!(parse(""), Ok(TopicsQuery::default()));
        assert_eq!(parse("topic=&nodeinfo"), Ok(TopicsQuery::default()));
    }

    #[test]
    fn wrong_encoding_and_wrong_values_are_refused() {
        for query in ["topic=%", "topic=%4", "%zz", "topic=%ff", "topic=%+1"] {
            assert_eq!(parse(query), Err(QueryError::Encoding), "{query}");
        }
        assert_eq!(parse("nodeinfo=yes"), Err(QueryError::NodeInfo("yes".to_owned())));
    }
}
