//! What a client asks of a node on its stream.

use bytes::Bytes;
use thiserror::Error;

use crate::sidecar::{self, Request};

/// One command, its topics as the client named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Publish on a topic.
    Publish(String, Bytes),
    /// Subscribe topics, at least one.
    Subscribe(Vec<String>),
    /// Leave a topic.
    Unsubscribe(String),
}

/// Why a request is no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A number that means nothing.
    #[error("command {0} is unknown; 1 to 4 are known")]
    Unknown(i32),
    /// Several topics that cannot be read.
    #[error("several topics are a comma list in topic or a JSON array in data: {0}")]
    Topics(String),
    /// A list of topics without one.
    #[error("no topic is named")]
    NoTopic,
}

impl TryFrom<Request> for Command {
    type Error = CommandError;

    fn try_from(request: Request) -> Result<Self, CommandError> {
        let Request { command, data, topic, .. } = request;
        match sidecar::Command::try_from(command).map_err(CommandError::Unknown)? {
            sidecar::Command::Publish => Ok(Self::Publish(topic, data)),
            sidecar::Command::Subscribe => Ok(Self::Subscribe(vec![topic])),
            sidecar::Command::Unsubscribe => Ok(Self::Unsubscribe(topic)),
            sidecar::Command::SubscribeSeveral => several(&topic, &data).map(Self::Subscribe),
        }
    }
}

/// Returns the topics of a comma list, or else of a JSON array. Blanks around a name and empty
/// names do not count.
fn several(list: &str, data: &[u8]) -> Result<Vec<String>, CommandError> {
    let names: Vec<String> = if list.trim().is_empty() {
        serde_json::from_slice(data).map_err(|error| CommandError::Topics(error.to_string()))?
    } else {
        list.split(',').map(str::to_owned).collect()
    };
    let topics = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    let topics: Vec<_> = topics.map(str::to_owned).collect();
    if topics.is_empty() { Err(CommandError::NoTopic) } else { Ok(topics) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: i32, topic: &str, data: &'static [u8]) -> Result<Command, CommandError> {
        let request =
            Request { command, topic: topic.into(), data: data.into(), ..Request::default() };
        request.try_into()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_four_commands_are_understood() {
        assert_eq!(read(1, "a", b"x"), Ok(Command::Publish("a".into(), (&b"x"[..]).into())));
        assert_eq!(read(2, "a", b""), Ok(Command::Subscribe(names(&["a"]))));
        assert_eq!(read(3, "a", b""), Ok(Command::Unsubscribe("a".into())));
        let several = Command::Subscribe(names(&["a", "b"]));
        assert_eq!(read(4, "a, b,", b""), Ok(several.clone()));
        assert_eq!(read(4, "", br#"["a"," b ",""]"#), Ok(several));
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        assert_eq!(read(0, "a", b""), Err(CommandError::Unknown(0)));
        assert_eq!(read(-7, "a", b""), Err(CommandError::Unknown(-7)));
        assert_eq!(read(4, " ,", b""), Err(CommandError::NoTopic));
        let problem = read(4, "", b"{").expect_err("no array").to_string();
        assert!(problem.contains("JSON array"), "{problem}");
    }
}
