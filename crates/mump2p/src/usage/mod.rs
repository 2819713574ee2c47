//! What a client published so far, counted here too, so that it is told before the proxy refuses
//! (the contract, sections 2.7 and 4.3).

pub(crate) mod file;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use token::Limits;

/// After this, all counters begin anew.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The counters as the file has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Counters {
    /// Messages since the last reset.
    pub(crate) publish_count: u64,
    /// Their bytes.
    pub(crate) bytes_published: u64,
    /// When all counters began.
    pub(crate) last_reset: Timestamp,
    /// When something was published last.
    pub(crate) last_publish_time: Timestamp,
    /// When something was subscribed last.
    pub(crate) last_sub_time: Timestamp,
    /// When the second began that is counted.
    pub(crate) last_second_time: Timestamp,
    /// Messages in it.
    pub(crate) second_publish_count: u64,
}

/// A limit that a message would go beyond.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Exceeded {
    /// The message itself.
    #[error("message size exceeds limit of {0} bytes")]
    Size(u64),
    /// Messages in a second.
    #[error("per-second limit reached ({0}/sec)")]
    Second(u64),
    /// Messages in what the account calls an hour.
    #[error("per-hour limit reached ({limit}/hour), resets in {resets_in}")]
    Hour {
        /// The limit.
        limit: u64,
        /// Until then.
        resets_in: String,
    },
    /// Bytes in a day.
    #[error("daily quota exceeded ({bytes}/{quota} bytes), resets in {resets_in}")]
    Day {
        /// With this message.
        bytes: u64,
        /// The limit.
        quota: u64,
        /// Until then.
        resets_in: String,
    },
}

/// The time that Go writes where there was none.
const NEVER: Timestamp = Timestamp::constant(-62_135_596_800, 0);

impl Default for Counters {
    fn default() -> Self {
        Self {
            publish_count: 0,
            bytes_published: 0,
            last_reset: NEVER,
            last_publish_time: NEVER,
            last_sub_time: NEVER,
            last_second_time: NEVER,
            second_publish_count: 0,
        }
    }
}

impl Counters {
    /// Begins anew what is over at `now`. A time that lies ahead is over as well: the clock was set
    /// back.
    pub(crate) fn roll(&mut self, now: Timestamp) {
        let is_over = |since: Timestamp, length| !(now - length < since && since <= now);
        if is_over(self.last_reset, DAY) {
            (self.publish_count, self.bytes_published, self.last_reset) = (0, 0, now);
        }
        if is_over(self.last_second_time, SECOND) {
            (self.second_publish_count, self.last_second_time) = (0, now);
        }
    }

    /// Tells whether a message of `bytes` may be published at `now`.
    ///
    /// # Errors
    ///
    /// Returns the first limit that it would go beyond.
    pub(crate) fn admit(
        &mut self,
        limits: &Limits,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        self.roll(now);
        if bytes > limits.message_bytes_max {
            return Err(Exceeded::Size(limits.message_bytes_max));
        }
        if self.second_publish_count >= limits.publishes_per_second {
            return Err(Exceeded::Second(limits.publishes_per_second));
        }
        let resets_in = || written(self.resets_in(now));
        if self.publish_count >= limits.publishes_per_hour {
            return Err(Exceeded::Hour {
                limit: limits.publishes_per_hour,
                resets_in: resets_in(),
            });
        }
        let (total, quota) = (self.bytes_published.saturating_add(bytes), limits.daily_bytes);
        if total > quota {
            return Err(Exceeded::Day { bytes: total, quota, resets_in: resets_in() });
        }
        Ok(())
    }

    /// Counts a message.
    pub(crate) fn published(&mut self, bytes: u64, now: Timestamp) {
        self.roll(now);
        self.publish_count += 1;
        self.second_publish_count += 1;
        self.bytes_published = self.bytes_published.saturating_add(bytes);
        self.last_publish_time = now;
    }

    /// Takes back what [`Self::published`] counted at `then`, as far as it is still counted; `before`
    /// is when something was published before it.
    pub(crate) fn not_published(&mut self, bytes: u64, then: Timestamp, before: Timestamp) {
        if self.last_reset <= then {
            self.publish_count = self.publish_count.saturating_sub(1);
            self.bytes_published = self.bytes_published.saturating_sub(bytes);
        }
        if self.last_second_time <= then {
            self.second_publish_count = self.second_publish_count.saturating_sub(1);
        }
        if self.last_publish_time == then {
            self.last_publish_time = before;
        }
    }

    /// Returns when all counters begin anew.
    pub(crate) fn next_reset(&self) -> Timestamp {
        self.last_reset.saturating_add(DAY).unwrap_or(self.last_reset)
    }

    /// Returns how long that is from `now` on.
    pub(crate) fn resets_in(&self, now: Timestamp) -> std::time::Duration {
        self.next_reset().duration_since(now).try_into().unwrap_or_default()
    }
}

/// Writes a duration in whole seconds, as Go does.
pub(crate) fn written(duration: std::time::Duration) -> String {
    api::go_duration::written(std::time::Duration::from_secs(duration.as_secs()))
}

/// Tells whether a time of the file says that there was none.
pub(crate) fn is_never(time: Timestamp) -> bool {
    time.as_second() <= NEVER.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        publishes_per_hour: 3,
        publishes_per_second: 2,
        message_bytes_max: 10,
        daily_bytes: 25,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    #[test]
    fn each_limit_is_told_in_the_words_of_the_contract() {
        let mut counters = Counters::default();
        let refused = |counters: &mut Counters, bytes, seconds| {
            counters.admit(&LIMITS, bytes, at(seconds)).map_err(|limit| limit.to_string())
        };
        assert_eq!(refused(&mut counters, 10, 0), Ok(()));
        let size = "message size exceeds limit of 10 bytes";
        assert_eq!(refused(&mut counters, 11, 0), Err(size.to_owned()));
        counters.published(10, at(0));
        counters.published(10, at(0));
        let second = "per-second limit reached (2/sec)";
        assert_eq!(refused(&mut counters, 1, 0), Err(second.to_owned()));
        let day = "daily quota exceeded (26/25 bytes), resets in 23h59m50s";
        assert_eq!(refused(&mut counters, 6, 10), Err(day.to_owned()));
        counters.published(5, at(10));
        let hour = "per-hour limit reached (3/hour), resets in 23h0m0s";
        assert_eq!(refused(&mut counters, 1, 3600), Err(hour.to_owned()));
        assert_eq!(refused(&mut counters, 1, 86_400), Ok(()), "a day later");
        assert_eq!((counters.publish_count, counters.bytes_published), (0, 0));
    }

    #[test]
    fn what_was_not_published_is_taken_back_unless_its_time_is_over() {
        let mut counters = Counters::default();
        counters.published(5, at(0));
        let before = counters.clone();
        counters.published(7, at(0));
        counters.not_published(7, at(0), at(0));
        assert_eq!(counters, before);
        counters.published(7, at(100_000));
        counters.not_published(5, at(0), NEVER);
        assert_eq!((counters.publish_count, counters.bytes_published), (1, 7), "a day later");
        assert_eq!(counters.last_publish_time, at(100_000));
    }

    #[test]
    fn a_clock_that_was_set_back_begins_the_counters_anew() {
        let mut counters = Counters::default();
        counters.published(5, at(1000));
        counters.roll(at(0));
        assert_eq!((counters.publish_count, counters.last_reset), (0, at(0)));
    }

    #[test]
    fn the_file_of_the_original_is_read_and_its_keys_are_written() {
        let go = r#"{"PublishCount":2,"BytesPublished":9,"LastReset":"2026-01-02T03:04:05.123456789+01:00",
            "LastPublishTime":"0001-01-01T00:00:00Z","LastSubTime":"0001-01-01T00:00:00Z",
            "LastSecondTime":"2026-01-02T03:04:05Z","SecondPublishCount":1}"#;
        let counters: Counters = serde_json::from_str(go).expect("counters");
        assert_eq!((counters.publish_count, counters.second_publish_count), (2, 1));
        assert!(is_never(counters.last_publish_time) && !is_never(counters.last_reset));
        let written = serde_json::to_value(Counters::default()).expect("JSON");
        assert_eq!(written["LastSubTime"], "0001-01-01T00:00:00Z");
        assert_eq!(written.as_object().map(serde_json::Map::len), Some(7));
    }
}
