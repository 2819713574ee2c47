//! Jobs given out, and those that wait because enough are out.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{HeaderHash, Job, JobId, Limits, Topic};

/// What a job is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A message of ours, to be published once its id is known.
    Publish { ticket: u64, topic: Topic, payload: Bytes, published_unix_ns: u64 },
    /// A message that has all its shards.
    Decode(HeaderHash),
    /// A message dropped since. The same header may have come again: the result is not for it.
    Abandoned,
}

/// Jobs given out and waiting, bounded by what may be published and what may be open.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    running: BTreeMap<JobId, (Purpose, u64)>,
    running_bytes: u64,
    waiting: VecDeque<(Purpose, Job)>,
    next: u64,
}

impl Jobs {
    pub(crate) fn add(&mut self, purpose: Purpose, job: Job) {
        self.waiting.push_back((purpose, job));
    }

    /// Returns the next job that may be given out.
    pub(crate) fn start(&mut self, limits: &Limits) -> Option<(JobId, Job)> {
        let bytes = self.waiting.front()?.1.payload_bytes();
        let full = self.running.len() >= limits.jobs_max
            || self.running_bytes + bytes > limits.job_bytes_max;
        if full && !self.running.is_empty() {
            return None;
        }
        let (purpose, job) = self.waiting.pop_front()?;
        let id = JobId(self.next);
        self.next += 1;
        self.running_bytes += bytes;
        self.running.insert(id, (purpose, bytes));
        Some((id, job))
    }

    /// Forgets what the decode of `hash` was for: a job that waits is gone, one that is out comes
    /// back as [`Purpose::Abandoned`] and counts among those out until then.
    pub(crate) fn abandon(&mut self, hash: HeaderHash) {
        let decodes = |purpose: &Purpose| matches!(purpose, Purpose::Decode(of) if *of == hash);
        self.waiting.retain(|(purpose, _)| !decodes(purpose));
        for (purpose, _) in self.running.values_mut().filter(|(purpose, _)| decodes(purpose)) {
            *purpose = Purpose::Abandoned;
        }
    }

    /// Takes a job back; `None` if it was not out.
    pub(crate) fn finish(&mut self, id: JobId) -> Option<Purpose> {
        let (purpose, bytes) = self.running.remove(&id)?;
        self.running_bytes -= bytes;
        Some(purpose)
    }
}
