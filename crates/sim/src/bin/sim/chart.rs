//! Charts as SVG by hand: a page that shows one in the dark gets light ink.

use std::fmt::Write as _;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 58.0;
/// Colours that the style has; more lines than that begin again, dashed.
const COLOURS: usize = 7;

const STYLE: &str = "<style>
text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}.page{fill:#fff}
.grid{stroke:#ddd;stroke-width:1}.frame{stroke:#888;fill:none}.mark{stroke:#222;stroke-dasharray:3 4}
.line{fill:none;stroke-width:2}
.c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#009e73}.c3{stroke:#b0508a}.c4{stroke:#c58a00}
.c5{stroke:#3b9bd1}.c6{stroke:#777}
.f0{fill:#0072b2}.f1{fill:#d55e00}.f2{fill:#009e73}.f3{fill:#b0508a}.f4{fill:#c58a00}
.f5{fill:#3b9bd1}.f6{fill:#777}
@media(prefers-color-scheme:dark){text{fill:#ddd}.page{fill:#16181c}.grid{stroke:#34383f}
.mark{stroke:#ddd}
.c0{stroke:#56a8e0}.c1{stroke:#ff8c42}.c2{stroke:#2ecc9a}.c3{stroke:#e08fc0}.c4{stroke:#f0bd4a}
.c5{stroke:#9ad0f5}.c6{stroke:#aaa}
.f0{fill:#56a8e0}.f1{fill:#ff8c42}.f2{fill:#2ecc9a}.f3{fill:#e08fc0}.f4{fill:#f0bd4a}
.f5{fill:#9ad0f5}.f6{fill:#aaa}}
</style>";

/// What an axis says, and how it is divided.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    label: String,
    log: bool,
}

impl Axis {
    pub(crate) fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), log: false }
    }

    pub(crate) fn log(label: &str) -> Self {
        Self { label: label.to_owned(), log: true }
    }
}

/// A line through points.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// Vertical lines, dashed, each with a word.
    pub(crate) marks: Vec<(String, f64)>,
}

/// Bars of parts, one below the other.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) label: String,
    pub(crate) parts: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

/// Maps values onto a stretch of the page.
struct Scale {
    log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(log: bool, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let usable = values.filter(|value| value.is_finite() && (!log || *value > 0.0));
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in usable {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        if log {
            (low, high) = (low / 1.15, high * 1.15);
        } else {
            // Lengths are compared from zero.
            low = low.min(0.0);
            high = if high > low { high + (high - low) * 0.03 } else { low + 1.0 };
        }
        Self { log, low, high, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(decade)));
            return all.filter(|tick| (self.low..=self.high).contains(tick)).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(decade);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

impl Lines {
    /// Returns the chart.
    pub(crate) fn svg(&self) -> String {
        let xs = self.points().map(|(x, _)| x).chain(self.marks.iter().map(|(_, x)| *x));
        let x = Scale::new(self.x.log, xs, LEFT, WIDTH - RIGHT);
        let y = Scale::new(self.y.log, self.points().map(|(_, y)| y), HEIGHT - BOTTOM, TOP);
        let mut svg = begin(&self.title);
        axes(&mut svg, (&self.x.label, &x), (&self.y.label, &y));
        for (place, series) in self.series.iter().enumerate() {
            let usable = |&&(px, py): &&(f64, f64)| {
                px.is_finite() && py.is_finite() && (!x.log || px > 0.0) && (!y.log || py > 0.0)
            };
            let points: Vec<String> = series
                .points
                .iter()
                .filter(usable)
                .map(|(px, py)| format!("{:.1},{:.1}", x.place(*px), y.place(*py)))
                .collect();
            let colour = place % COLOURS;
            let dash = if place >= COLOURS { " stroke-dasharray=\"6 3\"" } else { "" };
            add(
                &mut svg,
                format_args!(
                    "<polyline class=\"line c{colour}\"{dash} points=\"{}\"/>",
                    points.join(" ")
                ),
            );
            if points.len() <= 20 {
                for point in &points {
                    let (px, py) = point.split_once(',').unwrap_or_default();
                    add(
                        &mut svg,
                        format_args!(
                            "<circle class=\"f{colour}\" cx=\"{px}\" cy=\"{py}\" r=\"3\"/>"
                        ),
                    );
                }
            }
            legend(&mut svg, place, colour, &series.name);
        }
        for (word, at) in &self.marks {
            let at = x.place(*at);
            add(
                &mut svg,
                format_args!(
                    "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{}</text>",
                    HEIGHT - BOTTOM,
                    at + 4.0,
                    TOP + 14.0,
                    escaped(word),
                ),
            );
        }
        svg + "</svg>\n"
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().flat_map(|series| series.points.iter().copied())
    }
}

impl Bars {
    /// Returns the chart.
    pub(crate) fn svg(&self) -> String {
        // The sum of the longest stands behind it.
        let sums = self.rows.iter().map(|(_, parts)| 1.1 * parts.iter().sum::<f64>());
        let left = LEFT + 60.0;
        let x = Scale::new(false, sums, left, WIDTH - RIGHT);
        let mut svg = begin(&self.title);
        for tick in x.ticks() {
            let at = x.place(tick);
            add(
                &mut svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{0}\"/>\
                 <text x=\"{at:.1}\" y=\"{1}\" text-anchor=\"middle\">{2}</text>",
                    HEIGHT - BOTTOM,
                    HEIGHT - BOTTOM + 18.0,
                    short(tick),
                ),
            );
        }
        let slot = (HEIGHT - BOTTOM - TOP) / self.rows.len().max(1) as f64;
        let thick = (slot * 0.6).min(60.0);
        for (place, (name, parts)) in self.rows.iter().enumerate() {
            let top = TOP + slot * (place as f64 + 0.5) - thick / 2.0;
            let middle = top + thick / 2.0 + 4.0;
            add(
                &mut svg,
                format_args!(
                    "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
                    left - 8.0,
                    escaped(name)
                ),
            );
            let mut begin = 0.0;
            for (part, value) in parts.iter().enumerate() {
                let (from, to) = (x.place(begin), x.place(begin + value));
                begin += value;
                add(
                    &mut svg,
                    format_args!(
                        "<rect class=\"f{}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{thick:.1}\"/>",
                        part % COLOURS,
                        (to - from).max(0.0),
                    ),
                );
            }
            add(
                &mut svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{middle:.1}\">{begin:.2}</text>",
                    x.place(begin) + 6.0
                ),
            );
        }
        for (place, part) in self.parts.iter().enumerate() {
            legend(&mut svg, place, place % COLOURS, part);
        }
        add(
            &mut svg,
            format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                f64::midpoint(left, WIDTH - RIGHT),
                HEIGHT - 14.0,
                escaped(&self.label),
            ),
        );
        svg + "</svg>\n"
    }
}

fn begin(title: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n{STYLE}\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    let title = escaped(title);
    add(
        &mut svg,
        format_args!(
            "<title>{title}</title><text class=\"title\" x=\"{LEFT}\" y=\"26\">{title}</text>"
        ),
    );
    svg
}

fn axes(svg: &mut String, (x_label, x): (&str, &Scale), (y_label, y): (&str, &Scale)) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in x.ticks() {
        let at = x.place(tick);
        add(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                short(tick),
            ),
        );
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        add(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                short(tick),
            ),
        );
    }
    let (middle_x, middle_y) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
    add(
        svg,
        format_args!(
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>\
         <text x=\"{middle_x}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate(18 {middle_y}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            right - LEFT,
            bottom - TOP,
            HEIGHT - 14.0,
            escaped(x_label),
            escaped(y_label),
        ),
    );
}

fn legend(svg: &mut String, place: usize, colour: usize, name: &str) {
    let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 8.0 + 20.0 * place as f64);
    add(
        svg,
        format_args!(
            "<rect class=\"f{colour}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>\
         <text x=\"{}\" y=\"{}\">{}</text>",
            x + 18.0,
            y + 11.0,
            escaped(name),
        ),
    );
}

/// A number as short as it can be said.
fn short(value: f64) -> String {
    if value.abs() >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value.abs() >= 1e4 {
        format!("{}k", value / 1e3)
    } else {
        let rounded = format!("{value:.3}");
        rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("memory takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let linear = Scale::new(false, [3.0, 97.0].into_iter(), 0.0, 100.0);
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0]);
        let log = Scale::new(true, [100.0, 5000.0].into_iter(), 0.0, 100.0);
        assert_eq!(log.ticks(), [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0]);
    }

    #[test]
    fn nothing_to_show_is_an_empty_frame_and_infinite_points_are_left_out() {
        let chart = |points| Lines {
            title: "a < b".to_owned(),
            x: Axis::log("x"),
            y: Axis::linear("y"),
            series: vec![Series { name: "s".to_owned(), points }],
            marks: Vec::new(),
        };
        assert!(chart(Vec::new()).svg().contains("points=\"\""));
        let svg = chart(vec![(1.0, 2.0), (2.0, f64::INFINITY)]).svg();
        assert!(!svg.contains("inf") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn a_bar_is_as_long_as_its_parts_together() {
        let bars = Bars {
            title: "t".to_owned(),
            label: "l".to_owned(),
            parts: vec!["p".to_owned(), "q".to_owned()],
            rows: vec![("one".to_owned(), vec![1.0, 0.5])],
        };
        assert!(bars.svg().contains(">1.50</text>"));
    }
}
