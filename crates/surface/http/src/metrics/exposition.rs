//! Prometheus' text format, version 0.0.4.

use std::fmt::Write as _;

/// What a family's numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// Samples of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
}

/// The text as it grows.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// A family whose samples are being written.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a family.
    pub(super) fn family(&mut self, family: Family) -> Samples<'_> {
        let Family { name, help, kind } = family;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to memory does not fail.
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
        Samples {
            page: &mut self.0,
            name,
        }
    }

    /// Writes a family of one number that goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        let kind = Kind::Gauge;
        self.family(Family { name, help, kind }).sample(&[], value);
    }

    /// Writes a family of one number that only grows.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        let kind = Kind::Counter;
        self.family(Family { name, help, kind }).sample(&[], value);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Samples<'_> {
    /// Writes one sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.part("", labels, value);
    }

    /// Writes one sample of a part of the family: `_sum`, `_count`, `_bucket`.
    pub(super) fn part(&mut self, part: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let value = match value.is_infinite() {
            true => "+Inf".to_owned(),
            false => value.to_string(),
        };
        writeln!(self.page, "{}{part}{labels} {value}", self.name).ok();
    }
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_prometheus_text() {
        let mut page = Page::default();
        page.counter("a_total", "How many.", 3.0);
        let info = Family {
            name: "b",
            help: "What.",
            kind: Kind::Gauge,
        };
        page.family(info).sample(&[("os", "a \"b\"\n\\")], 1.5);
        let wanted = "# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n# HELP b What.\n# TYPE b gauge\nb{os=\"a \\\"b\\\"\\n\\\\\"} 1.5\n";
        assert_eq!(page.finish(), wanted);
    }
}
