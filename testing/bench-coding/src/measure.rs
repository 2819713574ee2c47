//! Timing, by turns.

use std::time::{Duration, Instant};

use crate::work::Run;

/// How long one sample takes, at least.
const SAMPLE: Duration = Duration::from_millis(8);

/// Something to be timed, and what was seen of it.
pub(crate) struct Contestant {
    run: Box<dyn Run>,
    /// Runs of one sample.
    runs: u32,
    seconds: Vec<f64>,
}

impl Contestant {
    /// Runs it once, checks the result, and finds out how many runs a sample takes.
    pub(crate) fn new(mut run: Box<dyn Run>) -> Result<Self, String> {
        run.reset();
        run.run();
        run.check()?;
        let mut contestant = Self { run, runs: 1, seconds: Vec::new() };
        let once = contestant.sample().min(contestant.sample());
        let runs = SAMPLE.as_secs_f64() / once.max(1e-9);
        contestant.runs = runs.clamp(1.0, 1e7) as u32;
        Ok(contestant)
    }

    /// Returns the seconds of one run, from one sample. A run before it, not timed, brings back to
    /// the caches what the others took out.
    fn sample(&mut self) -> f64 {
        self.run.reset();
        self.run.run();
        let mut taken = Duration::ZERO;
        if self.run.consumes() {
            for _ in 0..self.runs {
                self.run.reset();
                let begin = Instant::now();
                self.run.run();
                taken += begin.elapsed();
            }
        } else {
            let begin = Instant::now();
            for _ in 0..self.runs {
                self.run.run();
            }
            taken = begin.elapsed();
        }
        taken.as_secs_f64() / f64::from(self.runs)
    }

    /// Returns the median of the samples, in seconds a run.
    pub(crate) fn median_seconds(&mut self) -> f64 {
        median(&mut self.seconds)
    }
}

/// Takes `rounds` samples of each, by turns, so that a disturbance hits all alike.
pub(crate) fn interleave(contestants: &mut [&mut Contestant], rounds: usize) {
    for _ in 0..rounds {
        for contestant in &mut *contestants {
            let sample = contestant.sample();
            contestant.seconds.push(sample);
        }
    }
}

pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
