//! The live view on a terminal: a few lines under what was printed before, drawn anew in their place.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::OptionFuture;
use rustix::process::Signal;
use tokio::{
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::MissedTickBehavior,
};

use crate::{
    observe::Watched,
    picture::{
        Picture,
        story::{Story, Totals},
    },
    problems::Problems,
    report::{bytes, millis},
};

const INTERVAL: Duration = Duration::from_millis(500);

/// Lines where the size of the terminal is not known.
const ROWS: usize = 24;

/// Lines beside those of the nodes: two heads, the newest message, the head of the problems.
const FIXED_ROWS: usize = 4;

/// Problems shown.
const PROBLEMS_MAX: usize = 3;

/// Draws until it is dropped.
pub(crate) async fn show(watched: Arc<Watched>, problems: Arc<Problems>) {
    let begin = Instant::now();
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok();
    let mut drawn = 0;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            // While it was stopped (Ctrl-Z) the shell printed below what was drawn.
            Some(Some(())) = OptionFuture::from(continued.as_mut().map(Signals::recv)) => drawn = 0,
        }
        let rows = rustix::termios::tcgetwinsize(io::stdout())
            .map_or(ROWS, |size| usize::from(size.ws_row))
            .saturating_sub(1);
        let newest = problems.newest();
        let lines = watched.look(|picture| frame(picture, &newest, begin.elapsed(), rows));
        if draw(&lines, drawn).is_err() {
            // The terminal is gone; the cluster is not.
            return;
        }
        drawn = lines.len();
    }
}

/// Writes the lines over the last so many.
fn draw(lines: &[String], over: usize) -> io::Result<()> {
    // A line that is too long is cut at the edge and not continued below, which would not be drawn over.
    let mut text = "\x1b[?7l".to_owned();
    if over > 0 {
        // Writing to a string does not fail.
        let _written = write!(text, "\x1b[{over}A\r");
    }
    for line in lines {
        text.push_str("\x1b[2K");
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("\x1b[J\x1b[?7h");
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Returns at most `rows` lines.
fn frame(picture: &Picture, problems: &[String], up: Duration, rows: usize) -> Vec<String> {
    let seconds = up.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (messages, totals) = (picture.messages(), picture.totals());
    let mut lines = vec![format!(
        "-- up {hours:02}:{minutes:02}:{seconds:02}, {messages} messages, {} useful, {} --",
        bytes(totals.useful_bytes),
        wasted(totals)
    )];
    lines.push(format!(
        "{:<6} {:>5} {:>5} {:>9} {:>10}  wasted",
        "node", "peers", "mesh", "delivered", "useful"
    ));
    let shown_problems = problems.len().min(PROBLEMS_MAX);
    let room = rows.saturating_sub(FIXED_ROWS + shown_problems);
    let nodes: Vec<_> = picture.nodes().collect();
    let shown = if nodes.len() <= room { nodes.len() } else { room.saturating_sub(1) };
    for (number, standing, totals) in nodes.iter().take(shown) {
        let mesh =
            standing.mesh.values().flatten().collect::<std::collections::BTreeSet<_>>().len();
        let (peers, delivered) = (standing.peers, totals.delivered);
        let (useful, wasted) = (bytes(totals.useful_bytes), wasted(*totals));
        lines.push(format!(
            "{number:<6} {peers:>5} {mesh:>5} {delivered:>9} {useful:>10}  {wasted}"
        ));
    }
    if nodes.len() > shown {
        lines.push(format!("…      and {} more nodes; the page shows all", nodes.len() - shown));
    }
    lines.push(picture.stories().next().map_or_else(|| "no message yet".to_owned(), newest));
    lines.push(trouble(picture.lost(), problems.is_empty()));
    let newest = &problems[problems.len() - shown_problems..];
    lines.extend(newest.iter().map(|problem| format!("  {problem}")));
    lines.truncate(rows);
    lines
}

fn wasted(totals: Totals) -> String {
    let all = totals.useful_bytes + totals.wasted_bytes;
    let percent = (totals.wasted_bytes * 100).checked_div(all).unwrap_or_default();
    format!("{} wasted ({percent} %)", bytes(totals.wasted_bytes))
}

fn newest(story: &Story) -> String {
    let mut line = "newest message:".to_owned();
    if let Some(length) = story.bytes {
        // Writing to a string does not fail.
        let _written = write!(line, " {}", bytes(length));
    }
    // Others chose the name: it must not steer the terminal.
    let topic: String = story.topic.chars().take(40).filter(|c| !c.is_control()).collect();
    let _written = write!(line, " on {topic:?}");
    if let Some(node) = story.publisher {
        let _written = write!(line, " from node {node}");
    }
    let (reached, ending) = (story.reached(), if story.reached() == 1 { "" } else { "s" });
    let _written = write!(line, ", at {reached} node{ending}");
    // Its publisher is handed it too, which spreads nothing.
    if reached > 1 && story.spread_ns() > 0 {
        let _written = write!(line, " after {}", millis(story.spread_ns() as f64 / 1e6));
    }
    line
}

fn trouble(lost: u64, is_quiet: bool) -> String {
    let mut line = if is_quiet { "no warnings" } else { "newest warnings:" }.to_owned();
    if lost > 0 {
        let _written =
            write!(line, " ({lost} events were not told: the nodes are faster than this view)");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{
        Standing,
        sighting::{Sighting, What},
    };

    fn picture(nodes: u16) -> Picture {
        let mut picture = Picture::default();
        for node in 1..=nodes {
            picture.stands(node, Standing { peers: 3, ..Standing::default() });
        }
        let (message, topic) = ([1; 32], "a\x1b[2J".to_owned());
        for what in [
            What::ShardBytes { message, bytes: 1 << 20 },
            What::Innovative { message, from: 2, fragments: 1 },
            What::Redundant { message, from: 2, fragments: 1 },
            What::Delivered { message, topic, from: 2 },
        ] {
            picture.see(1, Sighting { unix_ns: 1, what });
        }
        picture
    }

    #[test]
    fn the_view_shows_nodes_bytes_the_newest_message_and_problems() {
        let problems = ["one", "two", "three", "four"].map(str::to_owned);
        let lines = frame(&picture(4), &problems, Duration::from_secs(3_723), 24);
        let text = lines.join("\n");
        for part in ["01:02:03", "1 messages", "1.0 MiB wasted (50 %)", "\n1 ", "\n4 ", "four"] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(!text.contains("one") && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn the_view_fits_every_screen() {
        for nodes in [1, 4, 16, 64] {
            for rows in 0..40 {
                let problems = ["a".to_owned(), "b".to_owned()];
                let lines = frame(&picture(nodes), &problems, Duration::ZERO, rows);
                assert!(lines.len() <= rows, "{nodes} nodes, {rows} rows: {lines:#?}");
            }
        }
        let lines = frame(&picture(64), &[], Duration::ZERO, 24);
        assert!(lines.iter().any(|line| line.contains("more nodes")), "{lines:#?}");
    }
}
