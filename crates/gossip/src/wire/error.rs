//! Why bytes are no frame.

use thiserror::Error;

use crate::{PublisherIdError, TopicError};

/// Why bytes are no frame. Whoever sent them does not speak this version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame is longer than any frame may be.
    #[error("the frame has {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// Length of the frame.
        bytes: usize,
        /// The most there may be.
        max: usize,
    },
    /// The frame carries nothing.
    #[error("the frame is empty; it must carry something")]
    Empty,
    /// The frame ends too early.
    #[error("the frame ends inside {0}")]
    Truncated(&'static str),
    /// The frame goes on after its end.
    #[error("{bytes} bytes follow the end of the frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A number is written in more bytes than it needs, or does not fit into 64 bits.
    #[error("{0} is not a shortest-form varint of at most 64 bits")]
    Varint(&'static str),
    /// A number or a length is out of its range.
    #[error("{what} is {value}; {min} to {max} is allowed")]
    OutOfRange {
        /// Which number, with its unit.
        what: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// A data frame has flags that this version does not know, or that contradict each other.
    #[error("the data frame has the flags {0:#010b}, which mean nothing in this version")]
    Flags(u8),
    /// A byte that says what follows has no meaning in this version.
    #[error("{what} is {tag}, which means nothing in this version")]
    UnknownTag {
        /// What the byte is.
        what: &'static str,
        /// The byte.
        tag: u8,
    },
    /// A topic is not UTF-8.
    #[error("the topic is not UTF-8")]
    TopicNotUtf8,
    /// A topic is no topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A publisher id is none.
    #[error(transparent)]
    Publisher(#[from] PublisherIdError),
    /// A bitmap is longer than its highest fragment needs.
    #[error("a bitmap ends with a byte that is zero; such bytes are left out")]
    BitmapPadding,
    /// The root of the commitments has a length that no root has.
    #[error("the root has {bytes} bytes; 0 or 20 are allowed")]
    RootLength {
        /// Its length.
        bytes: u64,
    },
}
