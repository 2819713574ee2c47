//! Metrics for Prometheus: families of samples, written as text.
//!
//! The text is version 0.0.4 of Prometheus' format, not `OpenMetrics`: there a counter's name must end
//! in `_total`, and some names that dashboards know do not.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{MetricType, histogram::Histogram},
    registry::Registry,
};

/// The content type of a page whose names are letters, digits and underscores.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds in seconds that Go programs use when they say nothing else.
pub const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a label says when there are too many values.
pub const OTHER: &str = "other";

/// The labels of one sample.
pub type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
enum Value {
    Number(f64),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, Value)>,
}

/// The families of one page, in the order they were added.
#[derive(Debug, Default)]
pub struct Families(Vec<Family>);

impl Families {
    /// Adds a counter without labels.
    pub fn counter(&mut self, name: impl Into<String>, help: &'static str, value: u64) {
        self.counters(name, help, [(Labels::new(), value)]);
    }

    /// Adds counters that differ in their labels.
    pub fn counters(
        &mut self,
        name: impl Into<String>,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, value as f64));
        self.numbers(name, help, MetricType::Counter, samples);
    }

    /// Adds a counter of seconds.
    pub fn seconds(&mut self, name: impl Into<String>, help: &'static str, value: f64) {
        self.numbers(name, help, MetricType::Counter, [(Labels::new(), value)]);
    }

    /// Adds a gauge without labels.
    pub fn gauge(&mut self, name: impl Into<String>, help: &'static str, value: f64) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }

    /// Adds gauges that differ in their labels.
    pub fn gauges(
        &mut self,
        name: impl Into<String>,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        self.numbers(name, help, MetricType::Gauge, samples);
    }

    /// Adds histograms that differ in their labels.
    pub fn histograms(
        &mut self,
        name: impl Into<String>,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, Histogram)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, Value::Histogram(value)));
        self.add(name.into(), help, MetricType::Histogram, samples.collect());
    }

    fn numbers(
        &mut self,
        name: impl Into<String>,
        help: &'static str,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, Value::Number(value)));
        self.add(name.into(), help, kind, samples.collect());
    }

    fn add(
        &mut self,
        name: String,
        help: &'static str,
        kind: MetricType,
        samples: Vec<(Labels, Value)>,
    ) {
        self.0.push(Family { name, help, kind, samples });
    }

    /// Writes the page; every sample bears the labels of `common` too.
    pub fn text(self, common: &[(&'static str, String)]) -> String {
        let common = common.iter().map(|(key, value)| ((*key).into(), value.clone().into()));
        let mut registry = Registry::with_labels(common);
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        text::encode_registry(&mut page, &registry).expect("a String takes any text");
        page
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let mut metric =
                encoder.encode_descriptor(&family.name, family.help, None, family.kind)?;
            for (labels, value) in &family.samples {
                let mut sample = metric.encode_family(labels)?;
                match value {
                    // A counter written as one would have `_total` appended.
                    Value::Number(number) => sample.encode_gauge(number)?,
                    Value::Histogram(histogram) => histogram.encode(sample)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_and_label_values_are_escaped() {
        let mut families = Families::default();
        families.counters("a_count", "Help.", [(vec![("topic", "x\"\n\\".to_owned())], 3)]);
        families.gauge("b", "Help.", 0.5);
        let text = families.text(&[("cluster_id", "c".to_owned())]);
        let wanted = "# HELP a_count Help.\n# TYPE a_count counter\n\
            a_count{cluster_id=\"c\",topic=\"x\\\"\\n\\\\\"} 3.0\n\
            # HELP b Help.\n# TYPE b gauge\nb{cluster_id=\"c\"} 0.5\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_sum_and_count() {
        let histogram = Histogram::new([1.0, 2.0]);
        histogram.observe(1.5);
        let mut families = Families::default();
        families.histograms("h", "Help.", [(Labels::new(), histogram)]);
        let text = families.text(&[]);
        for line in
            ["h_sum{} 1.5", "h_count{} 1", "h_bucket{le=\"1.0\"} 0", "h_bucket{le=\"+Inf\"} 1"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
