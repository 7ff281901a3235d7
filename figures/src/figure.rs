//! Panels on a page.
use std::path::Path;
use std::sync::{Arc, LazyLock};

use ihead::{Error, Result, io};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, WriteOptions, fontdb::Database};

use crate::canvas::{At, Canvas, FONT, NORMAL, SMALL, width};
use crate::panel::{Mark, Panel};
use crate::{curves, maps, palette};

/// Tenths of a point in a millimetre.
const MM: f64 = 720.0 / 25.4;

/// The most dots of a picture: 800 MB of memory.
const DOTS: u64 = 200_000_000;

/// The widest figure that is drawn, in millimetres.
const WIDEST: f64 = 2000.0;

/// Panels in rows and columns. A row has one legend; panels of one row with the same vertical axis share its range, and all
/// panels with the same horizontal axis share that one; what is shared is written once. The maps of a row share their
/// colours, with one bar.
///
/// Text is drawn as outlines of DejaVu Sans, so the figure looks the same everywhere, and the same data give the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels in a row.
    pub columns: usize,
    /// The width of the page in millimetres: 85 for a column of a paper, 170 for its whole width.
    pub width: f64,
    /// The height of the lines of a panel in millimetres; heat maps have square cells.
    pub height: f64,
    /// Dots per inch of a PNG that [`save`](Self::save) writes.
    pub dots_per_inch: f64,
}

/// Where the plot of a panel is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    /// Whether the vertical axis is written.
    pub y_axis: bool,
    /// Whether the horizontal axis is written.
    pub x_axis: bool,
    /// Whether the stretches are written above it.
    pub spans: bool,
}

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

impl Figure {
    /// Panels below each other, as wide as a column of a paper.
    pub fn new(panels: impl IntoIterator<Item = Panel>) -> Figure {
        Figure {
            panels: panels.into_iter().collect(),
            columns: 1,
            width: 85.0,
            height: 32.0,
            dots_per_inch: 300.0,
        }
    }

    /// So many panels in a row.
    pub fn columns(mut self, columns: usize) -> Figure {
        self.columns = columns.max(1);
        self
    }

    /// A page of this width in millimetres.
    pub fn width(mut self, width: f64) -> Figure {
        self.width = width;
        self
    }

    /// The figure as SVG, with text as outlines.
    ///
    /// # Errors
    /// If there is no panel, or the page is too narrow for its panels or wider than two metres.
    pub fn svg(&self) -> Result<String> {
        let tree = self.tree()?;
        let options =
            WriteOptions { coordinates_precision: 2, transforms_precision: 4, ..WriteOptions::default() };
        let text = tree.to_string(&options);
        let (w, h) = (tree.size().width(), tree.size().height());
        // the size of the page, over tenths of a point
        let inside = text.split_once('>').map_or("", |(_, inside)| inside);
        let size = format!(
            "width=\"{}mm\" height=\"{:.2}mm\" viewBox=\"0 0 {w} {h}\"",
            self.width,
            f64::from(h) / MM
        );
        let names = "xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"";
        Ok(format!("<svg {size} {names}>{inside}"))
    }

    /// The figure as PNG, on white.
    ///
    /// # Errors
    /// Those of [`svg`](Self::svg), or if the picture has a side of more than 30,000 dots, or more than 200 million dots in
    /// all.
    pub fn png(&self, dots_per_inch: f64) -> Result<Vec<u8>> {
        let tree = self.tree()?;
        let scale = (dots_per_inch / 720.0) as f32;
        let pixels = |length: f32| (length * scale).ceil().max(1.0) as u32;
        let (w, h) = (pixels(tree.size().width()), pixels(tree.size().height()));
        let too_large = || {
            Error::value("dpi", format!("{dots_per_inch}, a picture of {w} x {h} dots"), "a smaller picture")
        };
        // asked before, because a picture that the memory cannot hold ends the process
        let fits = w.max(h) <= 30_000 && u64::from(w) * u64::from(h) <= DOTS;
        let mut picture = fits.then(|| Pixmap::new(w, h)).flatten().ok_or_else(too_large)?;
        picture.fill(resvg::tiny_skia::Color::WHITE);
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
        picture.encode_png().map_err(|error| Error::device("png", error.to_string()))
    }

    /// Writes the figure; the end of the file's name says as what.
    ///
    /// # Errors
    /// Those of [`svg`](Self::svg), or if the name ends in something else than `.svg` or `.png`, or the file cannot be
    /// written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let content = match path.extension().and_then(|end| end.to_str()) {
            Some("svg") => self.svg()?.into_bytes(),
            Some("png") => self.png(self.dots_per_inch)?,
            _ => return Err(Error::format(path, "a figure is written as .svg or .png")),
        };
        io::write_atomically(path, &content)
    }

    fn tree(&self) -> Result<Tree> {
        static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
            let mut fonts = Database::new();
            fonts.load_font_data(dejavu::sans::regular().to_vec());
            fonts.set_sans_serif_family(FONT);
            Arc::new(fonts)
        });
        let options = Options { font_family: FONT.into(), fontdb: FONTS.clone(), ..Options::default() };
        let drawn = self.draw()?;
        Tree::from_str(&drawn, &options).map_err(|error| Error::device("svg", error.to_string()))
    }

    /// The figure with text as text.
    pub(crate) fn draw(&self) -> Result<String> {
        if self.panels.is_empty() {
            return Err(Error::value("panels", 0, "at least one"));
        }
        if !(self.width > 0.0 && self.width <= WIDEST) {
            return Err(Error::value("width", format!("{} mm", self.width), format!("up to {WIDEST} mm")));
        }
        let page = self.width * MM;
        let columns = self.columns.clamp(1, self.panels.len());
        let rows: Vec<&[Panel]> = self.panels.chunks(columns).collect();
        let axes = curves::axes(&rows);
        let scales: Vec<(f64, f64)> = rows.iter().map(|row| maps::scale(row)).collect();
        let shows_y = |r: usize, c: usize| c == 0 || !same_y(&rows[r][c - 1], &rows[r][c], &axes, r);
        let below = |r: usize, c: usize| rows.get(r + 1).and_then(|row| row.get(c));
        let shows_x = |r: usize, c: usize| match (&rows[r][c], below(r, c)) {
            (Panel::Curves(a), Some(Panel::Curves(b))) => (&a.x_label, a.log_x) != (&b.x_label, b.log_x),
            _ => true,
        };

        // columns: what stands left of each, and the colour bars on the right
        let left_of = |r: usize, c: usize| match &rows[r][c] {
            Panel::Curves(panel) => curves::left(panel, axes.y(r, panel), shows_y(r, c)),
            Panel::Map(panel) => maps::left(panel, shows_y(r, c)),
        };
        let lefts: Vec<f64> = (0..columns)
            .map(|c| {
                (0..rows.len()).filter(|r| c < rows[*r].len()).map(|r| left_of(r, c)).fold(0.0, f64::max)
            })
            .collect();
        let bars = rows.iter().zip(&scales).map(|(row, scale)| maps::bar_width(row, *scale));
        let ends = self.panels.iter().map(|panel| match panel {
            Panel::Curves(panel) => curves::right(axes.x(panel)),
            Panel::Map(_) => 0.0,
        });
        let right = bars.chain(ends).fold(50.0, f64::max);
        let plot = (page - lefts.iter().sum::<f64>() - right) / columns as f64;
        if plot < 60.0 {
            let found = format!("{columns} panels in a row of {} mm, which are too narrow", self.width);
            return Err(Error::value("columns", found, "fewer, or a wider page"));
        }
        let x_of = |c: usize| lefts[..=c].iter().sum::<f64>() + c as f64 * plot;

        // rows, from the top
        let labels = self.labels();
        let legends: Vec<Vec<Entry>> = rows.iter().map(|row| legend(row)).collect();
        let mut frames: Vec<Vec<Frame>> = Vec::new();
        let mut places = Vec::new();
        let mut y = 20.0;
        for (r, row) in rows.iter().enumerate() {
            let entries: &[Entry] = if r > 0 && legends[r] == legends[r - 1] { &[] } else { &legends[r] };
            let lines = lines_of(entries, page - lefts[0] - 50.0);
            let at = y;
            y += 105.0 * lines.len() as f64;
            let title_lines = row.iter().map(|panel| broken(title(panel), plot).len()).max().unwrap_or(0);
            if title_lines > 0 {
                y += 15.0 + TITLE_LINE * title_lines as f64;
            }
            let spans = |c: usize| match (&row[c], r.checked_sub(1).and_then(|r| rows[r].get(c))) {
                (Panel::Curves(a), Some(Panel::Curves(b))) => a.spans != b.spans,
                _ => true,
            };
            let lanes =
                (0..row.len()).filter(|c| spans(*c)).map(|c| curves::lanes(&row[c])).max().unwrap_or(0);
            y += curves::LANE * lanes as f64;
            places.push((at, lines, lanes));
            let height = |panel: &Panel| match panel {
                Panel::Curves(_) => self.height * MM,
                Panel::Map(map) => plot * map.values.rows() as f64 / map.values.cols().max(1) as f64,
            };
            let tallest = row.iter().map(height).fold(0.0, f64::max);
            frames.push(
                (0..row.len())
                    .map(|c| Frame {
                        left: x_of(c),
                        top: y,
                        width: plot,
                        height: height(&row[c]),
                        y_axis: shows_y(r, c),
                        x_axis: shows_x(r, c),
                        spans: spans(c),
                    })
                    .collect(),
            );
            let under = |c: usize| match &row[c] {
                Panel::Curves(_) if shows_x(r, c) => 205.0,
                Panel::Curves(_) => 40.0,
                Panel::Map(map) => maps::under(map),
            };
            y += tallest + (0..row.len()).map(under).fold(0.0, f64::max) + 20.0;
        }

        let mut text = String::new();
        let canvas = Canvas::new(&mut text, page, y);
        // white also on a dark page
        canvas.rect((0.0, 0.0), (page, y), palette::WHITE, 1.0)?;
        for (r, row) in rows.iter().enumerate() {
            let (top, lines, lanes) = &places[r];
            self.write_legend(&canvas, *top, lefts[0], lines, &labels)?;
            for (panel, frame) in row.iter().zip(&frames[r]) {
                let above = curves::LANE * *lanes as f64;
                for (i, line) in broken(title(panel), frame.width).iter().rev().enumerate() {
                    let y = frame.top - above - 55.0 - TITLE_LINE * i as f64;
                    canvas.text(
                        line,
                        (frame.left + frame.width / 2.0, y),
                        NORMAL,
                        palette::INK,
                        At::Middle,
                    )?;
                }
                match panel {
                    Panel::Curves(panel) => {
                        curves::draw(&canvas, panel, *frame, axes.x(panel), axes.y(r, panel), &labels)?;
                    }
                    Panel::Map(panel) => maps::draw(&canvas, panel, *frame, scales[r])?,
                }
            }
            if let (Some(Panel::Map(map)), Some(frame)) = (row.last(), frames[r].last()) {
                maps::bar(&canvas, map, *frame, scales[r])?;
            }
        }
        canvas.finish()?;
        Ok(text)
    }

    /// The labels of all lines, which number their colours.
    fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for panel in &self.panels {
            let Panel::Curves(panel) = panel else { continue };
            for series in &panel.series {
                if !labels.contains(&series.label) {
                    labels.push(series.label.clone());
                }
            }
        }
        labels
    }

    fn write_legend(
        &self,
        canvas: &Canvas<'_>,
        top: f64,
        left: f64,
        lines: &[Vec<Entry>],
        labels: &[String],
    ) -> Result<()> {
        for (i, line) in lines.iter().enumerate() {
            let (mut x, y) = (left, top + 105.0 * i as f64 + 45.0);
            for entry in line {
                match entry {
                    Entry::Line(label) => {
                        let (colour, stroke) =
                            palette::line(labels.iter().position(|l| l == label).unwrap_or(0));
                        canvas.stroke(&[(x, y), (x + 130.0, y)], colour, 12, stroke)?;
                    }
                    Entry::Mark(mark) => {
                        canvas.rect(
                            (x + 65.0, y - 30.0),
                            (x + 125.0, y + 30.0),
                            maps::colour_of(*mark),
                            1.0,
                        )?;
                    }
                }
                canvas.text(entry.text(), (x + 155.0, y), NORMAL, palette::INK, At::Left)?;
                x += entry_width(entry);
            }
        }
        Ok(())
    }
}

/// From a line of a title to the next.
const TITLE_LINE: f64 = 85.0;
/// Lines of a title; what does not fit is left out.
const TITLE_LINES: usize = 5;

/// A title in lines of at most the width `most`, which end after a space or one of `,:=._`; a part without any of these may
/// be wider.
fn broken(title: &str, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in title.split_inclusive([' ', ',', ':', '=', '.', '_']) {
        match lines.last_mut() {
            Some(line) if width(&format!("{line}{part}"), NORMAL) <= most => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    if lines.len() > TITLE_LINES {
        lines.truncate(TITLE_LINES);
        lines[TITLE_LINES - 1].push('…');
    }
    lines
}

fn title(panel: &Panel) -> &str {
    match panel {
        Panel::Curves(panel) => &panel.title,
        Panel::Map(panel) => &panel.title,
    }
}

/// Whether two neighbours have one vertical axis.
fn same_y(a: &Panel, b: &Panel, axes: &curves::Axes, row: usize) -> bool {
    match (a, b) {
        (Panel::Curves(a), Panel::Curves(b)) => a.y_label == b.y_label && axes.y(row, a) == axes.y(row, b),
        (Panel::Map(a), Panel::Map(b)) => (&a.y_label, &a.rows, a.first) == (&b.y_label, &b.rows, b.first),
        _ => false,
    }
}

/// What the legend of a row holds.
fn legend(row: &[Panel]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |entry: Entry| {
        if !entry.text().is_empty() && !entries.contains(&entry) {
            entries.push(entry);
        }
    };
    for panel in row {
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

fn entry_width(entry: &Entry) -> f64 {
    155.0 + width(entry.text(), NORMAL) + 1.2 * SMALL
}

/// The entries in lines of at most this width.
fn lines_of(entries: &[Entry], room: f64) -> Vec<Vec<Entry>> {
    let mut lines: Vec<Vec<Entry>> = Vec::new();
    let mut used = 0.0;
    for entry in entries {
        let needed = entry_width(entry);
        if lines.is_empty() || used + needed > room + SMALL {
            lines.push(Vec::new());
            used = 0.0;
        }
        used += needed;
        if let Some(line) = lines.last_mut() {
            line.push(entry.clone());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_wider_than_its_panel_is_broken_into_lines() {
        let title = "freeze_until=300:layers.0.attention.wk.weight,300:layers.1.attention.wk.weight";
        let most = width(title, NORMAL) / 3.0;
        let lines = broken(title, most);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line, NORMAL) <= most), "{lines:?}");
        assert_eq!(lines.concat(), title);

        assert_eq!(broken("layer 0", most), ["layer 0"]);
        assert!(broken("", most).is_empty());
        let short = broken(title, 1.0);
        assert_eq!((short.len(), short[TITLE_LINES - 1].chars().last()), (TITLE_LINES, Some('…')));
    }
}
