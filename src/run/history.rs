//! The measurements of a run.
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::probe::{Measurements, Unit};
use crate::{Error, Result};

use super::Table;
use super::checkpoint::Written;

/// The measurements of all evaluations of a run, in order of iteration.
///
/// ```
/// use ihead::probe::{Measurements, Unit};
/// use ihead::run::History;
///
/// let mut history = History::default();
/// for (iteration, accuracy) in [(0, 0.1), (25, 0.4), (50, 0.9)] {
///     let mut record = Measurements::new();
///     record.insert("acc", Unit::Share, accuracy);
///     history.push(iteration, record);
/// }
/// assert_eq!(history.last("acc")?, 0.9);
/// assert_eq!(history.first_above("acc", 0.3)?, Some(25));
/// assert_eq!(history.column("acc")?[0], (0, 0.1));
/// assert!(history.last("axc").unwrap_err().to_string().contains("did you mean 'acc'?"));
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Shared by the run and by whom it was given to.
    records: Arc<Vec<(usize, Measurements)>>,
}

impl History {
    /// Adds the measurements of an iteration.
    pub fn push(&mut self, iteration: usize, record: Measurements) {
        let record = record.shrunk(); // it is kept until the run ends
        Arc::make_mut(&mut self.records).push((iteration, record));
    }

    /// What a run has written into `res.jsonl` up to its checkpoint, and what it could not write then. No file is changed. The
    /// run goes on from it, so half a last line is an error here; [`records`] passes over it.
    ///
    /// # Errors
    /// If the file cannot be read, or was changed after the run had written it.
    pub(super) fn read(path: &Path, written: &Written) -> Result<History> {
        let changed = |found: String| {
            let mend = "it was changed after the run had written it; put it back, or begin again with overwrite=true";
            Error::format(path, format!("{found}: {mend}"))
        };
        let mut bytes = Vec::new();
        crate::io::open(path)?.read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        let (found, known) = (bytes.len() as u64, written.records);
        if found < known {
            return Err(changed(format!("has {found} bytes, the checkpoint knows of {known}")));
        }
        bytes.truncate(known as usize);
        bytes.extend(written.pending.bytes());
        let text = String::from_utf8(bytes).map_err(|_| changed("is not UTF-8".into()))?;
        let mut history = History::default();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let wrong = |why: &str| changed(format!("line {number}: {why}"));
            let whole = line.strip_suffix('\n').ok_or_else(|| wrong("its end is not where it was"))?;
            let row: Map<String, Value> =
                serde_json::from_str(whole).map_err(|_| wrong("not an object in JSON"))?;
            let mut record = Measurements::new();
            for (name, number) in row.iter().filter(|(name, _)| *name != "iter") {
                let unit = written.units.get(name).copied().unwrap_or(Unit::Count);
                record.insert(name, unit, number.as_f64());
            }
            let iteration = row.get("iter").and_then(Value::as_u64);
            history.push(iteration.ok_or_else(|| wrong("without its iteration"))? as usize, record);
        }
        Ok(history)
    }

    /// Returns the measurements of each evaluation, with its iteration.
    pub fn records(&self) -> &[(usize, Measurements)] {
        &self.records
    }

    /// Returns the iterations at which something was measured.
    pub fn iterations(&self) -> impl Iterator<Item = usize> {
        self.records.iter().map(|(iteration, _)| *iteration)
    }

    /// Returns the numbers of one name, each with its iteration; NaN where there was nothing to average.
    ///
    /// # Errors
    /// If nothing of this name was measured: the nearest name is in the message.
    pub fn column(&self, name: &str) -> Result<Vec<(usize, f64)>> {
        let has = |record: &Measurements| record.entries().iter().any(|entry| entry.name == name);
        let known = || self.records.iter().flat_map(|(_, record)| record.entries()).map(|e| e.name.as_str());
        if !self.records.iter().any(|(_, record)| has(record)) {
            return Err(Error::unknown("measured number", name, known()));
        }
        let number = |(i, record): &(usize, Measurements)| (*i, record.get(name).unwrap_or(f64::NAN));
        Ok(self.records.iter().map(number).collect())
    }

    /// Returns the number of one name at the last evaluation; NaN if there was nothing to average.
    ///
    /// # Errors
    /// Those of [`column`](Self::column).
    pub fn last(&self, name: &str) -> Result<f64> {
        Ok(self.column(name)?.last().map_or(f64::NAN, |(_, number)| *number))
    }

    /// Returns the number of one name at the last evaluation that is not after `iteration`; NaN if there is no number.
    ///
    /// # Errors
    /// Those of [`column`](Self::column).
    pub fn at(&self, name: &str, iteration: usize) -> Result<f64> {
        let column = self.column(name)?;
        Ok(column.iter().rev().find(|(i, _)| *i <= iteration).map_or(f64::NAN, |(_, number)| *number))
    }

    /// Returns the first evaluated iteration at which the number is above `bound`; `None` if it never is.
    ///
    /// # Errors
    /// Those of [`column`](Self::column).
    pub fn first_above(&self, name: &str, bound: f64) -> Result<Option<usize>> {
        Ok(self.column(name)?.iter().find(|(_, number)| *number > bound).map(|(i, _)| *i))
    }

    /// Returns the first evaluated iteration at which the number is below `bound`; `None` if it never is.
    ///
    /// # Errors
    /// Those of [`column`](Self::column).
    pub fn first_below(&self, name: &str, bound: f64) -> Result<Option<usize>> {
        Ok(self.column(name)?.iter().find(|(_, number)| *number < bound).map(|(i, _)| *i))
    }

    /// Makes a table of some numbers, with a row for each evaluation.
    ///
    /// # Errors
    /// Those of [`column`](Self::column).
    pub fn table(&self, names: &[&str]) -> Result<Table> {
        let columns: Vec<_> = names.iter().map(|name| self.column(name)).collect::<Result<_>>()?;
        let mut table = Table::new(std::iter::once("iter").chain(names.iter().copied()));
        for (row, iteration) in self.iterations().enumerate() {
            table.labelled(&iteration, columns.iter().map(|column| column[row].1));
        }
        Ok(table)
    }

    /// Returns the unit of a number; `None` if nothing has this name.
    pub fn unit(&self, name: &str) -> Option<Unit> {
        let mut entries = self.records.iter().flat_map(|(_, record)| record.entries());
        entries.find(|entry| entry.name == name).map(|entry| entry.unit)
    }
}

/// The evaluations in the `res.jsonl` of a folder, each with its iteration; none without the file. What a process that was killed,
/// or that is writing, has left of a last line does not count.
///
/// # Errors
/// If the file cannot be read, or another line is no evaluation: its number is in the message.
pub(crate) fn records(dir: &Path) -> Result<Vec<(u64, Map<String, Value>)>> {
    let path = dir.join("res.jsonl");
    let text = crate::io::text_if_there(&path)?.unwrap_or_default();
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let wrong = |why: &str| Error::format(&path, format!("line {number}: {why}"));
        let object = match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) => object,
            Err(_) if !line.ends_with('\n') => break,
            Ok(_) => return Err(wrong("expected an object")),
            Err(error) => return Err(wrong(&format!("not JSON: {error}"))),
        };
        let Some(iteration) = object.get("iter").and_then(Value::as_u64) else {
            return Err(wrong("expected an iteration as 'iter'"));
        };
        all.push((iteration, object));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_last_line_is_passed_over_and_any_other_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(records(dir.path()).unwrap().is_empty());
        let read = |text: &str| {
            std::fs::write(dir.path().join("res.jsonl"), text).unwrap();
            let found = records(dir.path()).map_err(|error| error.to_string());
            found.map(|rows| rows.into_iter().map(|(iteration, _)| iteration).collect::<Vec<_>>())
        };
        let whole = "{\"iter\": 0, \"loss\": 2}\n{\"iter\": 5, \"loss\": 1}\n";
        assert_eq!(read(whole), Ok(vec![0, 5]));
        assert_eq!(read(&format!("{whole}{{\"iter\": 9, \"lo")), Ok(vec![0, 5]));
        for (more, said) in [
            ("{\"iter\": 9, \"lo\n", "line 3: not JSON"),
            ("\n", "line 3: not JSON"),
            ("7\n", "line 3: expected an object"),
            ("{\"loss\": 2}\n", "line 3: expected an iteration as 'iter'"),
        ] {
            let error = read(&format!("{whole}{more}")).unwrap_err();
            assert!(error.contains("res.jsonl: ") && error.contains(said), "{error}");
        }
    }

    fn history(numbers: &[(usize, f64)]) -> History {
        let mut history = History::default();
        for (iteration, number) in numbers {
            let mut record = Measurements::new();
            record.insert("acc", Unit::Share, *number);
            history.push(*iteration, record);
        }
        history
    }

    #[test]
    fn a_bound_itself_is_neither_above_nor_below() {
        let history = history(&[(0, 0.5), (10, 0.75), (20, 0.25)]);
        let above = [0.4, 0.5, 0.75].map(|bound| history.first_above("acc", bound).unwrap());
        assert_eq!(above, [Some(0), Some(10), None]);
        let below = [0.6, 0.5, 0.25].map(|bound| history.first_below("acc", bound).unwrap());
        assert_eq!(below, [Some(0), Some(20), None]);
        assert!(history.first_above("los", 0.0).is_err() && history.first_below("los", 0.0).is_err());
    }

    #[test]
    fn a_number_is_that_of_the_last_evaluation_until_the_next() {
        let history = history(&[(10, 0.5), (20, 0.75)]);
        let at = [10, 19, 20, 99].map(|iteration| history.at("acc", iteration).unwrap());
        assert_eq!(at, [0.5, 0.5, 0.75, 0.75]);
        assert!(history.at("acc", 9).unwrap().is_nan());
        assert_eq!((history.unit("acc"), history.unit("los")), (Some(Unit::Share), None));
        assert_eq!(history.iterations().collect::<Vec<_>>(), [10, 20]);
    }

    #[test]
    fn a_name_that_is_measured_later_is_nan_before() {
        let mut history = history(&[(0, 0.5)]);
        let mut record = Measurements::new();
        record.insert("late", Unit::Count, 3.0);
        history.push(10, record);
        let late = history.column("late").unwrap();
        assert!(late[0].1.is_nan() && late[1] == (10, 3.0), "{late:?}");
        assert!(history.last("acc").unwrap().is_nan());
        let table = history.table(&["acc"]).unwrap().to_string();
        assert_eq!(table.lines().count(), 3, "{table}");
    }
}
