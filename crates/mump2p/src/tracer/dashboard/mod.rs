//! `mump2p tracer dashboard`: what a proxy's tracer saw of late, in the terminal.
//!
//! `state` decides, `view` draws, and what is here waits for keys, time and answers.

mod back_off;
mod feed;
mod picture;
mod requests;
mod screen;
mod state;
mod view;
#[cfg(test)]
mod view_tests;

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use api::go_duration;
use crossterm::event::{Event as TerminalEvent, EventStream};
use futures::StreamExt as _;
use jiff::tz::TimeZone;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use self::{
    requests::Requests,
    screen::Screen,
    state::{Event, Plan, State},
    view::Labels,
};
use crate::{
    Context, Error, Output,
    plain_text::plain,
    signals::{self, Signal, or_interrupted},
};

/// How often at least it is drawn: a wait that is shown counts down.
const DRAW_INTERVAL: Duration = Duration::from_millis(500);

/// Characters of the proxy's address and the topic that are shown.
const LABEL_CHARS_MAX: usize = 256;

/// What the tracer saw of late, in the terminal, while messages are published.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How far back to look.
    #[arg(long, default_value = "10s", value_parser = crate::arguments::duration)]
    pub window: Duration,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    pub tick_ms: u64,
    /// Rows of the table of messages.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rows: u16,
    /// Topic of the messages published meanwhile.
    #[arg(long, default_value = "demo", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub topic: String,
    /// Their size in bytes.
    #[arg(long, default_value_t = 102_400, value_parser = clap::value_parser!(u64).range(1..))]
    pub size: u64,
    /// How many; 0 publishes nothing.
    #[arg(long, default_value_t = 60)]
    pub count: u64,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub interval_ms: u64,
}

/// Shows it until `q` or Ctrl-C. In the forms of answers for programs: prints one picture, and
/// publishes nothing.
///
/// # Errors
///
/// Returns an error if stdout is no terminal or cannot be used, or the proxy does not answer at the
/// beginning.
pub async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let requests = Requests::new(context, args.window, &args.topic, args.size)?;
    let is_table = context.output == Output::Table;
    if is_table && !std::io::stdout().is_terminal() {
        return Err(Error::Usage(
            "the tracer's dashboard needs a terminal, and the output is none; --output json \
             prints one picture"
                .to_owned(),
        ));
    }
    let first = or_interrupted(requests.first()).await?;
    if !is_table {
        let picture = first.map_err(|failure| Error::Failed(failure.reason))?;
        return context.output.print(&picture, |_| String::new());
    }
    let plan = Plan {
        tick: Duration::from_millis(args.tick_ms),
        rows_max: args.rows.into(),
        count: args.count,
        interval: Duration::from_millis(args.interval_ms),
    };
    let labels = Labels {
        source: plain(requests.source(), LABEL_CHARS_MAX),
        window: go_duration::written(args.window),
        topic: plain(&args.topic, LABEL_CHARS_MAX),
        size_bytes: args.size,
        zone: TimeZone::system(),
    };
    let now = Instant::now();
    let mut state = State::new(plan, now);
    state.handle(now, Event::Picture(first));
    show(state, &labels, &requests).await
}

async fn show(mut state: State, labels: &Labels, requests: &Requests) -> Result<(), Error> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Error::Failed(format!("cannot wait for signals: {error}")))?;
    // Ctrl-C on the terminal is a key here.
    let mut interrupted = std::pin::pin!(signals::interrupted());
    let mut screen = Screen::take()?;
    let mut keys = EventStream::new();
    let mut work = JoinSet::new();
    loop {
        let now = Instant::now();
        state.handle_timeout(now);
        while let Some(order) = state.poll_order() {
            work.spawn(requests.clone().perform(order));
        }
        if state.is_over() {
            return Ok(());
        }
        screen.draw(|frame| view::draw(frame, labels, &state, now))?;
        let draw_due = now + DRAW_INTERVAL;
        let due = state.poll_timeout().map_or(draw_due, |due| due.min(draw_due));
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(TerminalEvent::Key(key))) => {
                    if let Some(key) = screen::meaning(&key) {
                        state.handle(Instant::now(), Event::Key(key));
                    }
                }
                // A new size is met by the next drawing.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(screen::lost(&error)),
                None => return Err(Error::OutputClosed),
            },
            Some(done) = work.join_next() => {
                let event = done.map_err(|error| Error::Failed(error.to_string()))?;
                state.handle(Instant::now(), event);
            }
            () = tokio::time::sleep_until(due.into()) => {}
            signal = &mut interrupted => return Err(Error::Interrupted(signal)),
            _ = hangup.recv() => return Err(Error::Interrupted(Signal::Terminate)),
        }
    }
}
