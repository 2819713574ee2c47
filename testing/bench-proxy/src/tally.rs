//! What one subscriber received.

use anyhow::{Result, ensure};

use crate::message::{Clock, Form};

/// Of so many messages one is looked at; the others are counted by their lengths.
const LOOK_EVERY: u64 = 1000;

/// So much of a message is kept when it is looked at: all that comes before a payload, and more.
const LOOK_BYTES: usize = 1024;

/// Counts messages, and looks at some: at every thousandth, and at every one that is not as long as
/// those before, since what tells of a loss is not.
pub(crate) struct Tally {
    form: Form,
    clock: Clock,
    look_every: u64,
    usual_bytes: Option<usize>,
    /// The message that is looked at, so far.
    looked: Option<Vec<u8>>,
    /// Whether the server has said that the subscription stands.
    pub(crate) is_ready: bool,
    pub(crate) count: u64,
    /// Microseconds on the way, of the messages that were looked at since they were last taken.
    pub(crate) times: Vec<u32>,
}

impl Tally {
    pub(crate) fn new(form: Form, clock: Clock, is_timed: bool) -> Self {
        let look_every = if is_timed { 1 } else { LOOK_EVERY };
        Self {
            form,
            clock,
            look_every,
            usual_bytes: None,
            looked: None,
            is_ready: false,
            count: 0,
            times: Vec::new(),
        }
    }

    /// Takes a part of a message that has `bytes` in all.
    pub(crate) fn take(
        &mut self,
        bytes: usize,
        body: &[u8],
        is_first: bool,
        is_last: bool,
    ) -> Result<()> {
        let is_odd = self.usual_bytes != Some(bytes);
        if is_first && (is_odd || self.count.is_multiple_of(self.look_every)) {
            self.looked = Some(Vec::new());
        }
        let Some(looked) = &mut self.looked else {
            self.count += u64::from(is_last);
            return Ok(());
        };
        let room = LOOK_BYTES.saturating_sub(looked.len());
        looked.extend_from_slice(&body[..body.len().min(room)]);
        if is_last {
            let looked = self.looked.take().unwrap_or_default();
            self.look(bytes, &looked)?;
        }
        Ok(())
    }

    fn look(&mut self, bytes: usize, looked: &[u8]) -> Result<()> {
        let Some(stamp) = self.form.read(looked)? else { return Ok(()) };
        ensure!(
            u64::from(stamp.number) == self.count,
            "message {} came where {} was due",
            stamp.number,
            self.count
        );
        let nanoseconds = self.clock.nanoseconds().saturating_sub(stamp.nanoseconds);
        self.times.push((nanoseconds / 1000) as u32);
        self.usual_bytes = Some(bytes);
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Deliveries, Payloads};

    fn take_all(tally: &mut Tally, messages: &[Vec<u8>], chunk_bytes: usize) -> Result<()> {
        for message in messages {
            let chunks = message.chunks(chunk_bytes).count();
            for (at, chunk) in message.chunks(chunk_bytes).enumerate() {
                tally.take(message.len(), chunk, at == 0, at + 1 == chunks)?;
            }
        }
        Ok(())
    }

    #[test]
    fn messages_are_counted_and_a_missing_one_is_seen_at_the_next_look() {
        let clock = Clock::start();
        let mut payloads = Payloads::new(clock, 40);
        let messages: Vec<_> = (0..1001).map(|_| payloads.next().to_vec()).collect();
        for chunk_bytes in [1, 39, 40] {
            let mut tally = Tally::new(Form::Raw, clock, false);
            take_all(&mut tally, &messages, chunk_bytes).expect("sound");
            assert_eq!((tally.count, tally.times.len()), (1001, 2));
        }
        let mut tally = Tally::new(Form::Raw, clock, false);
        let with_hole = [&messages[..500], &messages[501..]].concat();
        take_all(&mut tally, &with_hole, 40).expect("not looked at yet");
        let next = payloads.next().to_vec();
        let error = take_all(&mut tally, &[next], 40).expect_err("a hole").to_string();
        assert_eq!(error, "message 1001 came where 1000 was due");
    }

    #[test]
    fn whatever_is_of_another_length_is_looked_at() {
        let clock = Clock::start();
        let mut deliveries = Deliveries::new(clock, 100).expect("sound");
        let mut next = || {
            let stamp = deliveries.next();
            deliveries.json(stamp, true).expect("sound").to_vec()
        };
        let mut tally = Tally::new(Form::Json, clock, false);
        let messages = [next(), next(), b"{\"hello\":1}".to_vec(), next()];
        take_all(&mut tally, &messages, 7).expect("sound");
        assert_eq!(tally.count, 3);
        take_all(&mut tally, &[br#"{"lost":{"messages":1}}"#.to_vec()], 7).expect_err("a loss");
    }
}
