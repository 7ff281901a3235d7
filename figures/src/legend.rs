//! Legends: one for a row, or in a row of lines and maps one for each side.
use std::ops::Range;

use ihead::Result;

use crate::canvas::{At, Canvas, NORMAL, SMALL, width};
use crate::figure::{TEXT_LINE, broken};
use crate::panel::{Mark, Panel};
use crate::{maps, palette};

/// From a line of entries to the next.
const LINE: f64 = 105.0;
/// From the left of an entry to its text.
const INDENT: f64 = 155.0;
/// From an entry to the next.
const GAP: f64 = 1.2 * SMALL;

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Line(String),
    Mark(Mark),
}

impl Entry {
    fn text(&self) -> &str {
        match self {
            Entry::Line(label) => label,
            Entry::Mark(mark) => mark.text(),
        }
    }
}

/// What the legend of neighbours of one kind holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Legend {
    /// Their columns.
    pub columns: Range<usize>,
    entries: Vec<Entry>,
}

impl Legend {
    /// Whether it says the same from the same column on: below each other, such legends are written once.
    pub fn is_alike(&self, other: &Legend) -> bool {
        (self.columns.start, &self.entries) == (other.columns.start, &other.entries)
    }
}

/// The legends of a row, from left to right.
pub(crate) fn of_row(row: &[Panel]) -> Vec<Legend> {
    let of_one_kind = row.chunk_by(|a, b| matches!(a, Panel::Map(_)) == matches!(b, Panel::Map(_)));
    let mut from = 0;
    let legend = |panels: &[Panel]| {
        let columns = from..from + panels.len();
        from = columns.end;
        Legend { columns, entries: entries(panels) }
    };
    of_one_kind.map(legend).collect()
}

fn entries(panels: &[Panel]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |entry: Entry| {
        if !entry.text().is_empty() && !entries.contains(&entry) {
            entries.push(entry);
        }
    };
    for panel in panels {
        match panel {
            Panel::Curves(panel) => panel.series.iter().for_each(|s| add(Entry::Line(s.label.clone()))),
            Panel::Map(panel) => {
                let marks = || panel.columns.iter().chain(&panel.rows).map(|(_, mark)| *mark);
                for mark in [Mark::Trigger, Mark::Output, Mark::Marked, Mark::After] {
                    if marks().any(|found| found == mark) {
                        add(Entry::Mark(mark));
                    }
                }
            }
        }
    }
    entries
}

/// An entry with its text in lines.
struct Item {
    entry: Entry,
    texts: Vec<String>,
}

impl Item {
    fn new(entry: &Entry, room: f64) -> Item {
        Item { entry: entry.clone(), texts: broken(entry.text(), room - INDENT) }
    }

    fn width(&self) -> f64 {
        INDENT + self.texts.iter().map(|text| width(text, NORMAL)).fold(0.0, f64::max) + GAP
    }
}

/// A legend in lines.
pub(crate) struct Lines {
    left: f64,
    lines: Vec<Vec<Item>>,
}

impl Lines {
    /// The entries of a legend from `left` on, in lines of at most the width `room`.
    pub fn new(legend: &Legend, left: f64, room: f64) -> Lines {
        let mut lines: Vec<Vec<Item>> = Vec::new();
        let mut used = 0.0;
        for item in legend.entries.iter().map(|entry| Item::new(entry, room)) {
            if lines.is_empty() || used + item.width() > room + GAP {
                lines.push(Vec::new());
                used = 0.0;
            }
            used += item.width();
            if let Some(line) = lines.last_mut() {
                line.push(item);
            }
        }
        Lines { left, lines }
    }

    pub fn height(&self) -> f64 {
        self.lines.iter().map(|line| height(line)).sum()
    }

    /// Draws it below `top`; the number of a line's label among `labels` decides its colour.
    pub fn draw(&self, canvas: &Canvas<'_>, top: f64, labels: &[String]) -> Result<()> {
        let mut y = top + 45.0;
        for line in &self.lines {
            let mut x = self.left;
            for item in line {
                match &item.entry {
                    Entry::Line(label) => {
                        let number = labels.iter().position(|l| l == label).unwrap_or(0);
                        let (colour, stroke) = palette::line(number);
                        canvas.stroke(&[(x, y), (x + 130.0, y)], colour, 12, stroke)?;
                    }
                    Entry::Mark(mark) => {
                        let (from, to) = ((x + 65.0, y - 30.0), (x + 125.0, y + 30.0));
                        canvas.rect(from, to, maps::colour_of(*mark), 1.0)?;
                    }
                }
                for (i, text) in item.texts.iter().enumerate() {
                    let at = (x + INDENT, y + TEXT_LINE * i as f64);
                    canvas.text(text, at, NORMAL, palette::INK, At::Left)?;
                }
                x += item.width();
            }
            y += height(line);
        }
        Ok(())
    }
}

/// The height of a line of entries, of which some may have several lines of text.
fn height(line: &[Item]) -> f64 {
    let most = line.iter().map(|item| item.texts.len()).max().unwrap_or(1);
    LINE + TEXT_LINE * most.saturating_sub(1) as f64
}
