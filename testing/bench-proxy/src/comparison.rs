//! One measurement of both servers, by turns.

use anyhow::Result;

use crate::{server::System, statistics::median};

/// How everything is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort<'a> {
    pub(crate) systems: &'a [System],
    pub(crate) repeats: usize,
}

/// What both showed; none for a server that was left out, a text for one that failed.
#[derive(Debug)]
pub(crate) struct Comparison<F> {
    pub(crate) ours: Option<Result<F, String>>,
    pub(crate) nats: Option<Result<F, String>>,
}

/// Figures of several repeats that become one.
pub(crate) trait Figures: Sized {
    /// Returns the median of each figure.
    fn median(all: &[Self]) -> Self;
}

/// Returns the median of one figure.
pub(crate) fn median_of<F>(all: &[F], figure: impl Fn(&F) -> f64) -> f64 {
    median(all.iter().map(figure))
}

/// Measures each server as often as asked, by turns, so that what else the machine does hits both.
pub(crate) async fn by_turns<F: Figures>(
    effort: Effort<'_>,
    what: &str,
    measure: impl AsyncFn(System) -> Result<F>,
) -> Comparison<F> {
    let mut ours = Vec::new();
    let mut nats = Vec::new();
    for repeat in 1..=effort.repeats {
        for &system in effort.systems {
            say(&format!("{what}, {}, {repeat} of {} …", system.name(), effort.repeats));
            let figures = measure(system).await.map_err(|error| format!("{error:#}"));
            if let Err(problem) = &figures {
                say(&format!("  failed: {problem}"));
            }
            match system {
                System::Proxy => ours.push(figures),
                System::Nats => nats.push(figures),
            }
        }
    }
    Comparison { ours: together(ours), nats: together(nats) }
}

/// One repeat that failed fails them all.
fn together<F: Figures>(repeats: Vec<Result<F, String>>) -> Option<Result<F, String>> {
    if repeats.is_empty() {
        return None;
    }
    let repeats: Result<Vec<F>, String> = repeats.into_iter().collect();
    Some(repeats.map(|repeats| F::median(&repeats)))
}

#[expect(clippy::print_stderr, reason = "a run takes minutes")]
fn say(text: &str) {
    eprintln!("{text}");
}

impl<F> Comparison<F> {
    fn good(side: Option<&Result<F, String>>) -> Option<&F> {
        side.and_then(|figures| figures.as_ref().ok())
    }

    /// Returns a figure of ours and of NATS, and their ratio, as cells of a table.
    pub(crate) fn cells(&self, digits: usize, figure: impl Fn(&F) -> f64) -> String {
        let number = |side: Option<&Result<F, String>>| match side {
            None => "–".to_owned(),
            Some(Err(_)) => "failed".to_owned(),
            Some(Ok(figures)) => format!("{:.digits$}", figure(figures)),
        };
        let ratio = self.ratio(&figure).map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        format!("{} | {} | {ratio}", number(self.ours.as_ref()), number(self.nats.as_ref()))
    }

    /// Returns a figure of ours and of NATS without their ratio, in one cell.
    pub(crate) fn pair(&self, digits: usize, figure: impl Fn(&F) -> f64) -> String {
        let number = |side| {
            Self::good(side)
                .map_or("–".to_owned(), |figures| format!("{:.digits$}", figure(figures)))
        };
        format!("{} / {}", number(self.ours.as_ref()), number(self.nats.as_ref()))
    }

    /// Returns ours divided by that of NATS, if both are there.
    pub(crate) fn ratio(&self, figure: impl Fn(&F) -> f64) -> Option<f64> {
        let ours = Self::good(self.ours.as_ref())?;
        let nats = Self::good(self.nats.as_ref())?;
        (figure(nats) > 0.0).then(|| figure(ours) / figure(nats))
    }

    /// Returns our figures, if they are there.
    pub(crate) fn ours(&self) -> Option<&F> {
        Self::good(self.ours.as_ref())
    }

    /// Returns why a server failed.
    pub(crate) fn failures(&self) -> impl Iterator<Item = String> {
        [(System::Proxy, &self.ours), (System::Nats, &self.nats)].into_iter().filter_map(
            |(system, side)| {
                let problem = side.as_ref()?.as_ref().err()?;
                Some(format!("{}: {problem}", system.name()))
            },
        )
    }
}

/// Says whether a target is reached; none is of what was not measured, or has no target.
pub(crate) fn verdict(is_reached: Option<bool>) -> &'static str {
    match is_reached {
        Some(true) => "reached",
        Some(false) => "missed",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct One(f64);

    impl Figures for One {
        fn median(all: &[Self]) -> Self {
            Self(median_of(all, |one| one.0))
        }
    }

    #[test]
    fn one_failed_repeat_fails_the_row_and_leaves_no_ratio() {
        let good = || vec![Ok(One(3.0)), Ok(One(1.0)), Ok(One(2.0))];
        let whole = Comparison { ours: together(good()), nats: together(good()) };
        assert_eq!(whole.cells(1, |one| one.0), "2.0 | 2.0 | 1.00");
        let mut bad = good();
        bad.push(Err("lost".to_owned()));
        let failed = Comparison { ours: together(bad), nats: together(good()) };
        assert_eq!(failed.cells(1, |one| one.0), "failed | 2.0 | –");
        assert_eq!(failed.failures().collect::<Vec<_>>(), ["proxy: lost"]);
        let alone = Comparison { ours: None, nats: together(good()) };
        assert_eq!(alone.cells(0, |one| one.0), "– | 2 | –");
    }
}
