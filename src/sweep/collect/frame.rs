//! A table of values, and its three forms.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A table: rows of values with named columns. An empty cell is null.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A value for each column.
    pub rows: Vec<Vec<Value>>,
}

impl Frame {
    /// Writes the table as comma-separated values with a row of names (RFC 4180). A null is an empty cell.
    ///
    /// ```
    /// use ihead::sweep::Frame;
    /// use serde_json::json;
    /// let frame = Frame { columns: vec!["run".into(), "acc".into()], rows: vec![vec![json!("a,b"), json!(0.5)]] };
    /// assert_eq!(frame.csv(), "run,acc\n\"a,b\",0.5\n");
    /// assert_eq!(frame.jsonl(), "{\"run\":\"a,b\",\"acc\":0.5}\n");
    /// assert_eq!(frame.markdown(), "| run | acc |\n|---|---|\n| a,b | 0.5 |\n");
    /// ```
    pub fn csv(&self) -> String {
        let mut text = line(self.columns.iter().map(|name| quoted(name)), ",");
        for row in &self.rows {
            let cells = row.iter().map(|value| match value {
                Value::String(text) => quoted(text),
                other => quoted(&plain(other)),
            });
            text += &line(cells, ",");
        }
        text
    }

    /// Writes the table as a JSON object for each row.
    pub fn jsonl(&self) -> String {
        self.rows.iter().fold(String::new(), |mut text, row| {
            let object: Map<String, Value> = self.columns.iter().cloned().zip(row.iter().cloned()).collect();
            let _ = writeln!(text, "{}", Value::Object(object));
            text
        })
    }

    /// Writes the table in Markdown. Long numbers are rounded to four digits.
    pub fn markdown(&self) -> String {
        let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = row(self.columns.iter().map(|name| escaped(name)).collect());
        let _ = writeln!(text, "|{}", "---|".repeat(self.columns.len()));
        for cells in &self.rows {
            text += &row(cells.iter().map(|value| escaped(&short(value))).collect());
        }
        text
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

fn line(cells: impl Iterator<Item = String>, separator: &str) -> String {
    cells.collect::<Vec<_>>().join(separator) + "\n"
}

fn quoted(text: &str) -> String {
    let special = text.contains([',', '"', '\n', '\r']);
    if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A value as text; null is empty.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value for a reader: of a number with many digits, four.
fn short(value: &Value) -> String {
    let Some(number) = value.as_f64().filter(|_| value.is_f64()) else { return plain(value) };
    let whole = number.to_string();
    match number.abs() {
        _ if whole.len() <= 8 => whole,
        0.1..1e6 => format!("{number:.4}"),
        _ => format!("{number:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reader_gets_four_digits_of_a_long_number() {
        let shown = |value: Value| {
            let frame = Frame { columns: vec!["x".into()], rows: vec![vec![value]] };
            let text = frame.markdown();
            text.lines().nth(2).unwrap().trim_matches(['|', ' ']).to_owned()
        };
        for (value, text) in [
            (json!(0.5), "0.5"),
            (json!(-0.12345), "-0.12345"), // eight characters
            (json!(0.1234567), "0.1235"),
            (json!(-0.1234567), "-0.1235"),
            (json!(0.0123456), "1.235e-2"),
            (json!(-0.0123456), "-1.235e-2"),
            (json!(999999.25), "999999.2500"),
            (json!(1234567.25), "1.235e6"),
            (json!(1e-12), "1.000e-12"),
            (json!(123456789), "123456789"), // a count is whole
            (json!("0.123456789"), "0.123456789"),
            (json!(true), "true"),
            (Value::Null, ""),
        ] {
            assert_eq!(shown(value.clone()), text, "{value}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_format_is_written_so_that_it_is_read_back() {
        let frame = Frame {
            columns: vec!["a|b".into(), "c".into()],
            rows: vec![vec![json!("say \"x\""), json!("two\nlines")], vec![json!("\r"), json!("a\\|b")]],
        };
        assert_eq!(frame.csv(), "a|b,c\n\"say \"\"x\"\"\",\"two\nlines\"\n\"\r\",a\\|b\n");
        let markdown = "| a\\|b | c |\n|---|---|\n| say \"x\" | two lines |\n|   | a\\\\\\|b |\n";
        assert_eq!(frame.markdown(), markdown);
        assert_eq!((frame.column("c"), frame.column("d")), (Some(1), None));
    }
}
