//! Aligned columns.
use std::fmt;

/// A value that can stand in a table. Numbers with fractions are written with four digits, NaN as `-`.
pub trait Cell {
    /// Returns the text of the cell.
    fn text(&self) -> String;
}

impl Cell for f64 {
    fn text(&self) -> String {
        if self.is_nan() { "-".into() } else { format!("{self:.4}") }
    }
}

macro_rules! cell_as_it_is {
    ($($type:ty),*) => {$(
        impl Cell for $type {
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
cell_as_it_is!(usize, u64, u32, i64, i32, bool, &str, String);

impl<C: Cell> Cell for Option<C> {
    fn text(&self) -> String {
        self.as_ref().map_or("-".into(), Cell::text)
    }
}

/// A table of results: rows under headings, printed in aligned columns.
///
/// ```
/// use ihead::run::Table;
/// let mut table = Table::new(["k", "acc", "first above 0.5"]);
/// table.row([&1, &0.98765, &Some(40)]).row([&5, &f64::NAN, &None::<usize>]);
/// assert_eq!(table.to_string(), "k     acc  first above 0.5\n1  0.9877               40\n5       -                -\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these headings and no rows.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Table { rows: vec![headings.into_iter().map(String::from).collect()] }
    }

    /// Adds a row. It may have fewer or more cells than there are headings; then the rest is blank.
    pub fn row<const N: usize>(&mut self, cells: [&dyn Cell; N]) -> &mut Self {
        self.cells(&cells)
    }

    /// Adds a row as [`row`](Self::row) does, of a slice of cells.
    pub fn cells(&mut self, cells: &[&dyn Cell]) -> &mut Self {
        self.rows.push(cells.iter().map(|cell| cell.text()).collect());
        self
    }

    /// Adds a row of a label and the cells after it.
    pub fn labelled(&mut self, label: &dyn Cell, cells: impl IntoIterator<Item = impl Cell>) -> &mut Self {
        let cells = cells.into_iter().map(|cell| cell.text());
        self.rows.push(std::iter::once(label.text()).chain(cells).collect());
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, c: usize| row.get(c).cloned().unwrap_or_default();
        let width = |c: usize| self.rows.iter().map(|row| cell(row, c).chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let line = (0..columns).map(|c| format!("{:>1$}", cell(row, c), widths[c]));
            writeln!(f, "{}", line.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
