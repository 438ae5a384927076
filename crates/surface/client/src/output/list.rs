//! Prints lists: docker's default table, `table TEMPLATE`, `json`, a template, or ids only.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::table;
use hakone_template::Template;

use crate::{Console, Error};

/// A column that rows of one kind can have.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The field's name in templates.
    pub field: &'static str,
    /// The heading of its column.
    pub heading: &'static str,
}

/// One line of a list.
#[derive(Clone, Debug, Default)]
pub struct Row {
    cells: Map<String, Value>,
    labels: BTreeMap<String, String>,
}

impl Row {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.cells.insert(field.to_owned(), value.into());
        self
    }

    /// Adds the labels, both as the field `Labels` and for `{{.Label "key"}}`.
    #[must_use]
    pub fn labels(mut self, labels: impl IntoIterator<Item = (String, String)>) -> Self {
        self.labels = labels.into_iter().collect();
        let pairs: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        self.with("Labels", pairs.join(","))
    }
}

/// How a list is to be printed.
#[derive(Clone, Debug)]
pub struct Format<'a> {
    /// What `--format` says; empty means the default table.
    pub format: &'a str,
    /// The default table's template, without the word `table`.
    pub default: &'a str,
    /// `--quiet`: the template of the one field printed.
    pub quiet: Option<&'a str>,
}

/// Prints rows.
///
/// # Errors
/// When the template does not fit, or the output is closed.
pub fn print(
    console: &Console,
    columns: &[Column],
    rows: Vec<Row>,
    format: &Format<'_>,
) -> Result<(), Error> {
    let (heading, template) = layout(format);
    match (heading, template) {
        (_, Layout::Json) => rows
            .into_iter()
            .try_for_each(|row| console.line(&json(row))),
        (false, Layout::Template(text)) => {
            let template = Template::parse(&text)?;
            let lines = fill(&template, &rows)?;
            lines.iter().try_for_each(|line| console.line(line))
        }
        (true, Layout::Template(text)) => {
            let template = Template::parse(&text)?;
            let mut lines = vec![template.render(&headings(columns))?];
            lines.extend(fill(&template, &rows)?);
            console.bytes(table::align(&lines).as_bytes())
        }
    }
}

enum Layout {
    Json,
    Template(String),
}

fn layout(format: &Format<'_>) -> (bool, Layout) {
    let text = format.format.replace("\\t", "\t").replace("\\n", "\n");
    match (text.as_str(), format.quiet) {
        ("json", _) => (false, Layout::Json),
        ("" | "table", Some(quiet)) => (false, Layout::Template(quiet.to_owned())),
        ("" | "table", None) => (true, Layout::Template(format.default.to_owned())),
        ("raw", _) => (false, Layout::Template(raw(format.default))),
        (text, _) => match text.strip_prefix("table ") {
            Some(rest) => (true, Layout::Template(rest.trim().to_owned())),
            None => (false, Layout::Template(text.to_owned())),
        },
    }
}

/// `raw`: each field of the default table on a line of its own, in lower case.
fn raw(default: &str) -> String {
    let fields = default.split('\t').map(|cell| {
        let name = cell.trim_matches(['{', '}', '.']);
        format!("{}: {cell}", name.to_lowercase())
    });
    fields.collect::<Vec<_>>().join("\n") + "\n"
}

fn fill(template: &Template, rows: &[Row]) -> Result<Vec<String>, Error> {
    let line = |row: &Row| Ok(template.render_row(&Value::Object(row.cells.clone()), &row.labels)?);
    rows.iter().map(line).collect()
}

/// The heading is the template filled with the columns' names; `{{.Label "x"}}` is headed by the label.
fn headings(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|column| (column.field.to_owned(), Value::from(column.heading)))
        .collect::<Map<_, _>>()
        .into()
}

/// One object a line, fields in order of name as docker prints them, all values as texts.
fn json(row: Row) -> String {
    let sorted: BTreeMap<String, Value> = row.cells.into_iter().collect();
    serde_json::to_string(&sorted).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Terminal;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const COLUMNS: [Column; 2] = [
        Column {
            field: "ID",
            heading: "CONTAINER ID",
        },
        Column {
            field: "Names",
            heading: "NAMES",
        },
    ];

    fn printed(format: &str, quiet: Option<&str>) -> String {
        let out = Shared::default();
        let console = Console::new(
            Box::new(out.clone()),
            Box::new(std::io::sink()),
            Terminal::default(),
        );
        let row = Row::default()
            .with("ID", "ab")
            .with("Names", "web")
            .labels([("k".into(), "v".into())]);
        let format = Format {
            format,
            default: "{{.ID}}\t{{.Names}}",
            quiet,
        };
        print(&console, &COLUMNS, vec![row], &format).unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_default_is_a_table_with_headings() {
        assert_eq!(
            printed("", None),
            "CONTAINER ID   NAMES\nab             web\n"
        );
    }

    #[test]
    fn quiet_prints_ids_only() {
        assert_eq!(printed("", Some("{{.ID}}")), "ab\n");
    }

    #[test]
    fn templates_json_and_tables_of_ones_own() {
        assert_eq!(printed("{{.Names}}:{{.Label \"k\"}}", None), "web:v\n");
        assert_eq!(
            printed("json", None),
            "{\"ID\":\"ab\",\"Labels\":\"k=v\",\"Names\":\"web\"}\n"
        );
        assert_eq!(
            printed("table {{.Names}}\\t{{.ID}}", None),
            "NAMES     CONTAINER ID\nweb       ab\n"
        );
    }
}
