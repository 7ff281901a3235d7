//! What a run shows on a terminal: a table with few columns, and at its end three lines.
use std::path::Path;
use std::time::Duration;

use console::{Term, style};

use crate::output::{counted, plain};
use crate::probe::{Entry, Measurements, Unit};

/// The most columns of numbers, and the rows after which the header stands again.
const COLUMNS: usize = 7;
const ROWS: usize = 30;

/// The width of a number and of the iteration.
const NUMBER: usize = 9;

/// The share from which on a number is coloured.
const HIGH: f64 = 0.95;

/// What a run has come to.
pub(super) struct End<'a> {
    pub steps: usize,
    pub took: Duration,
    /// The last evaluation.
    pub last: Option<&'a Measurements>,
    /// Whether it has written a report.
    pub report: bool,
}

/// A table that is written row by row.
pub(super) struct Screen {
    /// Characters of a line.
    width: usize,
    /// The names of the columns, chosen when the first row is written.
    columns: Vec<String>,
    rows: usize,
}

impl Screen {
    /// A table, if standard output is a terminal.
    pub fn of_terminal() -> Option<Screen> {
        let terminal = Term::stdout();
        terminal.is_term().then(|| Screen::new(usize::from(terminal.size().1)))
    }

    fn new(width: usize) -> Screen {
        Screen { width, columns: vec![], rows: 0 }
    }

    /// The row of an evaluation, with the header where it is due; `of_batch` tells the numbers of the training batch.
    pub fn row(
        &mut self,
        iteration: usize,
        record: &Measurements,
        of_batch: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        if self.columns.is_empty() {
            self.columns = choose(record, self.width, of_batch);
        }
        let mut lines = Vec::new();
        if self.rows.is_multiple_of(ROWS) {
            let mut header = format!("{:>NUMBER$}", "iteration");
            for name in &self.columns {
                header += &format!("  {:>1$}", plain(name), wide(name));
            }
            lines.push(style(header).bold().to_string());
        }
        self.rows += 1;
        let mut line = style(format!("{iteration:>NUMBER$}")).dim().to_string();
        for name in &self.columns {
            let entry = record.entries().iter().find(|entry| entry.name == *name);
            line += &format!("  {}", cell(name, entry));
        }
        lines.push(line);
        lines
    }

    /// How a run ended: what was reached, where its files are, how to look at them.
    pub fn end(&self, end: &End<'_>, dir: Option<&Path>) -> Vec<String> {
        let End { steps, took, last, report } = *end;
        let head = |word: &str| style(format!("{word:<8}")).bold().to_string();
        let took = humantime::format_duration(Duration::from_secs(took.as_secs()));
        let mut reached = format!("{}{} in {took}", head("reached"), counted(steps, "iteration"));
        for name in &self.columns {
            let entry = last.and_then(|last| last.entries().iter().find(|entry| entry.name == *name));
            if let Some(number) = entry.and_then(|entry| entry.value.number()) {
                reached += &format!(", {} {number:.4}", plain(name));
            }
        }
        let Some(dir) = dir else {
            return vec![
                reached,
                format!("{}none; save_dir=FOLDER, or Run::save_to, keeps them", head("files")),
            ];
        };
        let dir = plain(&dir.display().to_string());
        let word = if dir.contains([' ', '\'', '"', '$', '\\']) {
            format!("'{}'", dir.replace('\'', r"'\''"))
        } else {
            dir.clone()
        };
        vec![
            reached,
            format!("{}{dir}: run.json, res.jsonl, final.safetensors", head("files")),
            match report {
                true => format!("{}{dir}/report.html, in a browser", head("look")),
                false => {
                    format!("{}cargo run --release -p ihead-figure --bin report -- {word}", head("look"))
                }
            },
        ]
    }
}

/// The columns: the loss, what was measured on test sets and of weights, then numbers of the batch, as many as there is room for.
fn choose(record: &Measurements, width: usize, of_batch: impl Fn(&str) -> bool) -> Vec<String> {
    let fits = |entry: &&Entry| entry.unit != Unit::Norm && entry.value != crate::probe::Value::NotApplicable;
    let mut entries: Vec<&Entry> = record.entries().iter().filter(fits).collect();
    entries.sort_by_key(|entry| match entry.name.as_str() {
        "loss" => 0,
        name if !of_batch(name) => 1,
        _ => 2,
    });
    let mut used = NUMBER;
    let chosen = entries.into_iter().take(COLUMNS).take_while(|entry| {
        used += 2 + wide(&entry.name);
        used <= width.max(NUMBER + 2 + NUMBER)
    });
    chosen.map(|entry| entry.name.clone()).collect()
}

fn wide(name: &str) -> usize {
    plain(name).chars().count().max(NUMBER)
}

fn cell(name: &str, entry: Option<&Entry>) -> String {
    let number = entry.and_then(|entry| entry.value.number());
    let text = format!("{:>1$}", number.map_or("-".into(), |number| format!("{number:.4}")), wide(name));
    if entry.is_some_and(is_high) { style(text).green().to_string() } else { text }
}

/// Whether it is a share that is nearly one.
fn is_high(entry: &Entry) -> bool {
    entry.unit == Unit::Share && entry.value.number().is_some_and(|share| share >= HIGH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Value;

    fn record() -> Measurements {
        let mut record = Measurements::new();
        record.insert("loss", Unit::Nats, 1.5);
        record.insert("loss_of_batch", Unit::Nats, 1.25);
        record.insert("acc_end_test", Unit::Share, 0.5);
        record.insert("ff1_loss", Unit::Nats, Value::NotApplicable);
        record.insert("norm_wk", Unit::Norm, 3.0);
        record.insert("wo1_acc", Unit::Share, None::<f64>);
        record
    }

    #[test]
    fn few_columns_aligned_under_a_header() {
        console::set_colors_enabled(false);
        let mut screen = Screen::new(80);
        let lines = screen.row(20, &record(), |name| name == "loss_of_batch");
        let expected = [
            "iteration       loss  acc_end_test    wo1_acc  loss_of_batch",
            "       20     1.5000        0.5000          -         1.2500",
        ];
        assert_eq!(lines, expected);
        assert_eq!(screen.row(30, &record(), |_| false).len(), 1); // the header stands once in so many rows
        // a narrow terminal has fewer columns, never a broken line
        let narrow = Screen::new(24).row(0, &record(), |_| false);
        assert_eq!(narrow[0], "iteration       loss");
    }

    #[test]
    fn the_header_stands_again_after_thirty_rows() {
        console::set_colors_enabled(false);
        let mut screen = Screen::new(80);
        let lines: Vec<usize> = (0..61).map(|i| screen.row(i, &record(), |_| false).len()).collect();
        let headers: Vec<usize> = (0..61).filter(|i| lines[*i] == 2).collect();
        assert_eq!(headers, [0, 30, 60]);
    }

    #[test]
    fn a_line_is_as_wide_as_the_terminal_and_no_wider() {
        console::set_colors_enabled(false);
        // 9 for the iteration, 2 + 9 for the loss, 2 + 12 for the accuracy
        let header = |width| Screen::new(width).row(0, &record(), |name| name == "loss_of_batch")[0].clone();
        assert_eq!(header(34), "iteration       loss  acc_end_test");
        assert_eq!(header(33), "iteration       loss");
        assert_eq!(header(5), "iteration       loss"); // the first column is always there
        let mut many = Measurements::new();
        (0..9).for_each(|i| many.insert(format!("loss{i}"), Unit::Nats, 1.0));
        assert_eq!(Screen::new(500).row(0, &many, |_| false)[0].split_whitespace().count(), 1 + COLUMNS);
    }

    #[test]
    fn a_share_of_95_percent_is_coloured() {
        let mut record = Measurements::new();
        let numbers = [("a", Unit::Share, 0.95), ("b", Unit::Share, 0.949), ("c", Unit::Nats, 2.0)];
        numbers.into_iter().for_each(|(name, unit, number)| record.insert(name, unit, number));
        record.insert("d", Unit::Share, None::<f64>);
        let high: Vec<&str> =
            record.entries().iter().filter(|e| is_high(e)).map(|e| e.name.as_str()).collect();
        assert_eq!(high, ["a"]);
    }

    #[test]
    fn three_lines_at_the_end() {
        console::set_colors_enabled(false);
        let mut screen = Screen::new(40);
        screen.row(0, &record(), |_| true);
        let record = record();
        let mut end =
            End { steps: 30, took: Duration::from_millis(61_500), last: Some(&record), report: false };
        let lines = screen.end(&end, Some(Path::new("runs/a b")));
        assert_eq!(lines[0], "reached 30 iterations in 1m 1s, loss 1.5000, loss_of_batch 1.2500");
        assert_eq!(lines[1], "files   runs/a b: run.json, res.jsonl, final.safetensors");
        assert_eq!(lines[2], "look    cargo run --release -p ihead-figure --bin report -- 'runs/a b'");
        let look = |dir: &str| screen.end(&end, Some(Path::new(dir)))[2].clone();
        for (dir, word) in [("runs/a", "runs/a"), ("it's", r"'it'\''s'"), ("$a", "'$a'"), ("a\"b", "'a\"b'")]
        {
            assert!(look(dir).ends_with(&format!("report -- {word}")), "{}", look(dir));
        }
        end.report = true;
        assert_eq!(screen.end(&end, Some(Path::new("r")))[2], "look    r/report.html, in a browser");
        assert_eq!(screen.end(&end, None).len(), 2);
    }
}
