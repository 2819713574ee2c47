//! What a `PromQL` expression asks for.

/// What stands between a dashboard's expression and Prometheus: Grafana's variables.
pub(crate) fn substituted(expression: &str, cluster: &str) -> String {
    // Grafana's interval is four times as long as that of the scrapes.
    let plain = expression.replace("$cluster", cluster).replace("$__rate_interval", "20s");
    assert!(!plain.contains('$'), "a variable that nobody sets: {plain}");
    plain
}

/// Words that are no metrics, wherever they stand.
const WORDS: [&str; 12] =
    ["and", "or", "unless", "bool", "offset", "inf", "nan", "sum", "max", "min", "avg", "count"];

/// Words before a list of labels in brackets.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Returns the selectors of an expression: names of metrics with what is in braces behind them.
///
/// It knows the parts of `PromQL` that are used here. What it does not know it takes for a metric, of
/// which nobody finds any.
pub(crate) fn selectors(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        if first == '[' {
            rest = behind(rest, ']');
        } else if !is_part(first) {
            rest = &rest[first.len_utf8()..];
        } else {
            let (word, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
            rest = after;
            let calls = after.trim_start().starts_with('(');
            if BEFORE_LABELS.contains(&word) {
                rest = if calls { behind(after, ')') } else { after };
            } else if !first.is_ascii_digit() && !calls && !WORDS.contains(&word) {
                let matchers = after.starts_with('{').then(|| behind(after, '}'));
                rest = matchers.unwrap_or(after);
                found.push(format!("{word}{}", &after[..after.len() - rest.len()]));
            }
        }
    }
    found
}

/// Returns what is behind the next `end`.
fn behind(text: &str, end: char) -> &str {
    text.split_once(end).unwrap_or_else(|| panic!("no {end} in {text}")).1
}

#[test]
fn selectors_are_found_among_functions_labels_ranges_and_numbers() {
    let expression = r#"histogram_quantile(0.95, sum by (le) (rate(a_bucket{x=~"y|z"}[5m]))) > 2^30
        or b / on (instance) group_left (job) c{d="e"} and 100 * max(f)"#;
    assert_eq!(selectors(expression), [r#"a_bucket{x=~"y|z"}"#, "b", r#"c{d="e"}"#, "f"]);
    assert_eq!(selectors("time() - max by (a) (b{c=\"d\"})"), ["b{c=\"d\"}"]);
}
