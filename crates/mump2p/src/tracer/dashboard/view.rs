//! The dashboard on a terminal.

use std::time::Instant;

use jiff::{Timestamp, tz::TimeZone};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Bar, BarChart, Block, Cell, Gauge, Paragraph, Row as TableRow, Table},
};

use super::{
    feed::Feed,
    picture::{Picture, Row},
    state::State,
};

/// What stays the same.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// The base URL of the proxy.
    pub(super) source: String,
    /// The window, as it was asked for.
    pub(super) window: String,
    /// What is published: its topic.
    pub(super) topic: String,
    /// The bytes of each message.
    pub(super) size_bytes: u64,
    /// Where the reader's clock is.
    pub(super) zone: TimeZone,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, labels: &Labels, state: &State, now: Instant) {
    let [header, middle, messages, publishing, status] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(8),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    let empty = Picture::default();
    let picture = state.picture().unwrap_or(&empty);
    draw_header(frame, header, labels, state.picture());
    draw_nodes(frame, left, picture);
    draw_counts(frame, right, picture);
    draw_messages(frame, messages, picture, &labels.zone);
    frame.render_widget(Paragraph::new(feed_line(state.feed(), labels)), publishing);
    draw_status(frame, status, state, now);
}

fn draw_header(frame: &mut Frame<'_>, area: Rect, labels: &Labels, picture: Option<&Picture>) {
    let algorithm =
        picture.map(|picture| picture.algorithm.as_str()).filter(|name| !name.is_empty());
    let updated = picture.and_then(|picture| picture.updated);
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let line = Line::from(vec![
        Span::styled(labels.source.as_str(), strong),
        Span::raw(format!("  window {}", labels.window)),
        Span::raw(format!("  algorithm {}", algorithm.unwrap_or("unknown"))),
        Span::raw(format!("  updated {}", clock(updated, "%H:%M:%S", &labels.zone))),
    ]);
    frame.render_widget(
        Paragraph::new(line).block(Block::bordered().title(" mump2p tracer ")),
        area,
    );
}

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let block = Block::bordered().title(" Active vs Unhealthy ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [bar, figures] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(inner);
    let (active, unhealthy) = (picture.active_nodes as f64, picture.unhealthy_nodes as f64);
    let all = active + unhealthy;
    let ratio = if all > 0.0 { active / all } else { 0.0 };
    let color = if unhealthy > 0.0 { Color::Yellow } else { Color::Green };
    let label = format!("{} active, {} unhealthy", picture.active_nodes, picture.unhealthy_nodes);
    let gauge = Gauge::default().gauge_style(Style::new().fg(color)).ratio(ratio).label(label);
    frame.render_widget(gauge, bar);
    let figures_text = vec![
        Line::default(),
        Line::raw(format!("moved {} bytes", picture.moved_bytes)),
        Line::raw(format!("ideal {} bytes", picture.ideal_bytes)),
        Line::raw(format!("bloat {:.2}", picture.bloat)),
    ];
    frame.render_widget(Paragraph::new(figures_text), figures);
}

fn draw_counts(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let bar = |name: &'static str, value, color| {
        Bar::with_label(name, value).style(Style::new().fg(color))
    };
    let bars = vec![
        bar("Published", picture.published, Color::Blue),
        bar("Delivered", picture.delivered, Color::Green),
        bar("Dupes", picture.duplicates, Color::Yellow),
    ];
    let title = format!(" Messages in {} s ", picture.window_seconds);
    let value = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    let chart = BarChart::vertical(bars).block(Block::bordered().title(title));
    frame.render_widget(chart.bar_width(10).bar_gap(1).value_style(value), area);
}

fn draw_messages(frame: &mut Frame<'_>, area: Rect, picture: &Picture, zone: &TimeZone) {
    let title = format!(
        " Slowest of {} messages: P95 {:.1} ms, P75 {:.1} ms, Avg {:.1} ms ",
        picture.messages, picture.p95_ms, picture.p75_ms, picture.average_ms
    );
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(6),
        Constraint::Length(12),
        Constraint::Length(25),
    ];
    let names = ["Topic", "Delay(ms)", "Peers", "Bytes", "Delivered/Published"];
    let heading = TableRow::new(names).style(Style::new().add_modifier(Modifier::BOLD));
    let rows = picture.rows.iter().map(|row| cells(row, zone));
    let table = Table::new(rows, widths).header(heading).block(Block::bordered().title(title));
    frame.render_widget(table, area);
}

fn cells<'a>(row: &'a Row, zone: &TimeZone) -> TableRow<'a> {
    let delay = row.delay_ms.map_or_else(|| "…".to_owned(), |delay| format!("{delay:.1}"));
    let time = |time| clock(time, "%H:%M:%S%.3f", zone);
    TableRow::new([
        Cell::from(row.topic.as_str()),
        Cell::from(delay),
        Cell::from(row.peers.to_string()),
        Cell::from(row.moved_bytes.to_string()),
        Cell::from(format!("{}/{}", time(row.delivered), time(row.published))),
    ])
}

/// Says how the publishing goes.
fn feed_line<'a>(feed: &Feed, labels: &Labels) -> Line<'a> {
    if feed.count == 0 {
        return Line::raw("publishing nothing (--count 0)");
    }
    let so_far = format!("{} of {} messages", feed.published, feed.count);
    let what = format!("{} bytes each on {}", labels.size_bytes, labels.topic);
    match (&feed.failure, feed.is_over()) {
        (None, true) => Line::raw(format!("published {so_far}, {what}")),
        (None, false) => Line::raw(format!("publishing: {so_far}, {what}")),
        (Some(reason), is_over) => {
            let how = if is_over { "stopped" } else { "waiting" };
            Line::styled(format!("publishing {how} at {so_far}: {reason}"), Color::Red)
        }
    }
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let keys = "q quit  r reset";
    let [left, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(keys.len() as u16 + 1)])
            .areas(area);
    let said = match (state.trouble(now), state.note()) {
        (Some((reason, wait)), _) => {
            let seconds = wait.as_secs_f64().ceil();
            Line::styled(format!("again in {seconds} s: {reason}"), Color::Red)
        }
        (None, Some(note)) => Line::raw(note),
        (None, None) if state.picture().is_none() => Line::raw("waiting for the first picture"),
        (None, None) => Line::raw("live"),
    };
    frame.render_widget(Paragraph::new(said), left);
    let dim = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(keys).style(dim).alignment(Alignment::Right), right);
}

fn clock(time: Option<Timestamp>, form: &str, zone: &TimeZone) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| time.to_zoned(zone.clone()).strftime(form).to_string(),
    )
}
