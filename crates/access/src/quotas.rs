//! Whether a client may publish one more message.

use std::{sync::Arc, time::Duration};

use api::go_duration;
use thiserror::Error;
use token::Client;

use crate::{
    Refusal,
    store::{Exceeded, Store, StoreError},
};

/// A message that is one too many, or too long. The texts are the contract's, section 2.7.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuotaError {
    /// It is longer than this client's messages may be.
    #[error("message size exceeds limit of {limit} bytes")]
    MessageSize {
        /// The longest in bytes.
        limit: u64,
    },
    /// Too many in a second.
    #[error("per-second limit reached ({limit}/sec)")]
    PerSecond {
        /// The most in a second.
        limit: u64,
    },
    /// Too many in an hour.
    #[error("per-hour limit reached ({limit}/hour), resets in {}", written(*.resets_in))]
    PerHour {
        /// The most in an hour.
        limit: u64,
        /// When the hour ends.
        resets_in: Duration,
    },
    /// Too many bytes in a day.
    #[error("daily quota exceeded ({used}/{quota} bytes), resets in {}", written(*.resets_in))]
    Daily {
        /// The bytes of the day with this message's.
        used: u64,
        /// The most in a day.
        quota: u64,
        /// When the day ends.
        resets_in: Duration,
    },
    /// What was used so far cannot be found out now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QuotaError {
    /// Returns a word for it, as a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MessageSize { .. } => "message_size",
            Self::PerSecond { .. } => "per_second",
            Self::PerHour { .. } => "per_hour",
            Self::Daily { .. } => "daily",
            Self::Store(_) => "store",
        }
    }
}

impl Refusal for QuotaError {
    fn code(&self) -> u16 {
        match self {
            Self::MessageSize { .. } => 413,
            Self::PerSecond { .. } | Self::PerHour { .. } | Self::Daily { .. } => 429,
            Self::Store(error) => error.code(),
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::MessageSize { .. } => None,
            Self::PerSecond { .. } => Some(1),
            Self::PerHour { resets_in, .. } | Self::Daily { resets_in, .. } => {
                Some(seconds(*resets_in))
            }
            Self::Store(error) => error.retry_after_seconds(),
        }
    }
}

/// Holds clients to their limits.
#[derive(Clone, Debug)]
pub struct Quotas {
    store: Arc<Store>,
}

impl Quotas {
    /// Counts in `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Counts a message of this many bytes, unless it is beyond a limit: then nothing is counted.
    /// What was counted stays so, whatever becomes of the message.
    ///
    /// # Errors
    ///
    /// Returns an error that says which limit.
    pub async fn admit(&self, client: &Client, message_bytes: u64) -> Result<(), QuotaError> {
        let limits = &client.limits;
        if message_bytes > limits.message_bytes_max {
            return Err(QuotaError::MessageSize { limit: limits.message_bytes_max });
        }
        match self.store.admit(&client.id, limits, message_bytes).await? {
            None => Ok(()),
            Some(Exceeded::Second) => {
                Err(QuotaError::PerSecond { limit: limits.publishes_per_second })
            }
            Some(Exceeded::Hour { resets_in }) => {
                Err(QuotaError::PerHour { limit: limits.publishes_per_hour, resets_in })
            }
            Some(Exceeded::Day { used, resets_in }) => {
                Err(QuotaError::Daily { used, quota: limits.daily_bytes, resets_in })
            }
        }
    }
}

/// Whole seconds, not too few, at least one.
fn seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// Writes a duration in whole seconds the way Go programs do: `1h2m3s`.
fn written(duration: Duration) -> String {
    go_duration::written(Duration::from_secs(seconds(duration)))
}

#[cfg(test)]
mod tests {
    use token::Limits;

    use super::*;

    fn client(limits: Limits) -> Client {
        Client { id: "auth0|u1".to_owned(), limits, expires_unix_seconds: 0 }
    }

    fn quotas() -> Quotas {
        Quotas::new(Arc::new(Store::in_memory()))
    }

    const WIDE: Limits = Limits {
        publishes_per_hour: 1000,
        publishes_per_second: 1000,
        message_bytes_max: 1000,
        daily_bytes: 1_000_000,
    };

    async fn refused(quotas: &Quotas, client: &Client, bytes: u64) -> QuotaError {
        quotas.admit(client, bytes).await.expect_err("refused")
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_has_its_limit_and_the_next_one_begins_anew() {
        let (quotas, client) = (quotas(), client(Limits { publishes_per_second: 2, ..WIDE }));
        for _ in 0..3 {
            quotas.admit(&client, 1).await.expect("the first");
            quotas.admit(&client, 1).await.expect("the second");
            let error = refused(&quotas, &client, 1).await;
            assert_eq!(error.to_string(), "per-second limit reached (2/sec)");
            assert_eq!((error.code(), error.retry_after_seconds()), (429, Some(1)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_an_hour_from_its_first_message() {
        let (quotas, client) = (quotas(), client(Limits { publishes_per_hour: 2, ..WIDE }));
        quotas.admit(&client, 1).await.expect("the first");
        tokio::time::advance(Duration::from_millis(90_500)).await;
        quotas.admit(&client, 1).await.expect("the second");
        let error = refused(&quotas, &client, 1).await;
        assert_eq!(error.to_string(), "per-hour limit reached (2/hour), resets in 58m30s");
        assert_eq!((error.code(), error.retry_after_seconds()), (429, Some(3510)));
        tokio::time::advance(Duration::from_millis(3_509_500)).await;
        quotas.admit(&client, 1).await.expect("another hour");
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_a_day_are_counted_and_what_was_refused_is_not() {
        let (quotas, client) = (quotas(), client(Limits { daily_bytes: 1000, ..WIDE }));
        quotas.admit(&client, 700).await.expect("within");
        let error = refused(&quotas, &client, 301).await;
        assert_eq!(error.to_string(), "daily quota exceeded (1001/1000 bytes), resets in 24h0m0s");
        assert_eq!((error.code(), error.retry_after_seconds()), (429, Some(86_400)));
        quotas.admit(&client, 300).await.expect("exactly all");
        quotas.admit(&client, 0).await.expect("nothing more");
        refused(&quotas, &client, 1).await;
        tokio::time::advance(Duration::from_secs(86_400)).await;
        quotas.admit(&client, 1000).await.expect("another day");
    }

    #[tokio::test]
    async fn a_long_message_is_refused_before_anything_is_counted() {
        let (quotas, client) = (quotas(), client(Limits { publishes_per_hour: 1, ..WIDE }));
        let error = refused(&quotas, &client, 1001).await;
        assert_eq!(error.to_string(), "message size exceeds limit of 1000 bytes");
        assert_eq!((error.code(), error.retry_after_seconds()), (413, None));
        quotas.admit(&client, 1000).await.expect("the longest");
    }

    #[tokio::test]
    async fn a_limit_of_nothing_allows_nothing() {
        for limits in [
            Limits { publishes_per_second: 0, ..WIDE },
            Limits { publishes_per_hour: 0, ..WIDE },
            Limits { daily_bytes: 0, ..WIDE },
        ] {
            let error = refused(&quotas(), &client(limits), 1).await;
            assert_eq!(error.code(), 429, "{error}");
            assert!(error.retry_after_seconds() >= Some(1), "{error}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_do_not_get_more_than_the_limit() {
        let (quotas, client) = (quotas(), client(Limits { publishes_per_hour: 50, ..WIDE }));
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let (quotas, client) = (quotas.clone(), client.clone());
                tokio::spawn(async move { quotas.admit(&client, 1).await.is_ok() })
            })
            .collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += u32::from(task.await.expect("no panic"));
        }
        assert_eq!(admitted, 50);
    }
}
