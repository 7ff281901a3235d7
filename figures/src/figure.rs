//! Panels on a page.
use std::path::Path;
use std::sync::{Arc, LazyLock};

use ihead::{Error, Result, io};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, WriteOptions, fontdb::Database};

use crate::canvas::{At, Canvas, FONT, NORMAL, SMALL, width};
use crate::legend::{self, Legend, Lines};
use crate::panel::Panel;
use crate::{curves, maps, palette};

/// Tenths of a point in a millimetre.
const MM: f64 = 720.0 / 25.4;

/// The most dots of a picture: 800 MB of memory.
const DOTS: u64 = 200_000_000;

/// The widest figure that is drawn, in millimetres.
const WIDEST: f64 = 2000.0;

/// Panels in rows and columns. A row has one legend; in a row of lines and maps, neighbours of one kind have one. Panels of one row
/// with the same vertical axis share its range, and all panels with the same horizontal axis share that one; what is shared is
/// written once. The maps of a row share their colours, with one bar to the right of the last of them.
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

/// Where the columns are.
struct Columns {
    /// The room left of each plot.
    lefts: Vec<f64>,
    /// The room right of each plot.
    rights: Vec<f64>,
    /// The width of a plot.
    plot: f64,
}

impl Columns {
    /// The left end of a column's plot.
    fn left(&self, c: usize) -> f64 {
        self.lefts[..=c].iter().sum::<f64>() + self.rights[..c].iter().sum::<f64>() + c as f64 * self.plot
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
        let rows: Vec<&[Panel]> = self.panels.chunks(self.in_a_row()).collect();
        let axes = curves::axes(&rows);
        let scales: Vec<(f64, f64)> = rows.iter().map(|row| maps::scale(row)).collect();
        let shows_y = |r: usize, c: usize| c == 0 || !same_y(&rows[r][c - 1], &rows[r][c], &axes, r);
        let below = |r: usize, c: usize| rows.get(r + 1).and_then(|row| row.get(c));
        let shows_x = |r: usize, c: usize| match (&rows[r][c], below(r, c)) {
            (Panel::Curves(a), Some(Panel::Curves(b))) if !has_map(rows[r]) => {
                (&a.x_label, a.log_x) != (&b.x_label, b.log_x)
            }
            // a map is higher than the lines beside it, which end far above the next row
            _ => true,
        };

        let left_of = |r: usize, c: usize| match &rows[r][c] {
            Panel::Curves(panel) => curves::left(panel, axes.y(r, panel), shows_y(r, c)),
            Panel::Map(panel) => maps::left(panel, shows_y(r, c)),
        };
        let last_map = |r: usize| rows[r].iter().rposition(|panel| matches!(panel, Panel::Map(_)));
        let right_of = |r: usize, c: usize| match (&rows[r][c], rows[r].get(c + 1)) {
            (Panel::Map(_), _) if last_map(r) == Some(c) => maps::bar_width(rows[r], scales[r]),
            (Panel::Map(_), _) => 0.0,
            (Panel::Curves(_), Some(_)) if !shows_x(r, c) => 0.0,
            (Panel::Curves(panel), Some(Panel::Curves(next))) => {
                // numbers of two axes stand on one line
                let both = curves::right(axes.x(panel)) + curves::before(axes.x(next));
                (both - left_of(r, c + 1)).max(0.0)
            }
            (Panel::Curves(panel), _) => curves::right(axes.x(panel)),
        };
        let columns = self.columns_of(&rows, left_of, right_of)?;
        let plot = columns.plot;

        // rows, from the top
        let labels = self.labels();
        let legends: Vec<Vec<Legend>> = rows.iter().map(|row| legend::of_row(row)).collect();
        let mut frames: Vec<Vec<Frame>> = Vec::new();
        let mut places = Vec::new();
        let mut y = 20.0;
        for (r, row) in rows.iter().enumerate() {
            let above = r.checked_sub(1).map_or(&[][..], |above| &legends[above]);
            let written =
                legends[r].iter().filter(|legend| !above.iter().any(|known| known.is_alike(legend)));
            let laid = |legend: &Legend| {
                let (from, to) = (columns.left(legend.columns.start), legend.columns.end);
                // up to the next legend, or to the margin
                let end = if to < row.len() { columns.left(to) - 2.0 * SMALL } else { page - 50.0 };
                Lines::new(legend, from, end - from)
            };
            let lines: Vec<Lines> = written.map(laid).collect();
            y += lines.iter().map(Lines::height).fold(0.0, f64::max);
            let below_legends = y;
            let title_lines = row.iter().map(|panel| broken(title(panel), plot).len()).max().unwrap_or(0);
            if title_lines > 0 {
                y += 15.0 + TEXT_LINE * title_lines as f64;
            }
            let spans = |c: usize| match (&row[c], r.checked_sub(1).and_then(|r| rows[r].get(c))) {
                (Panel::Curves(a), Some(Panel::Curves(b))) => a.spans != b.spans,
                _ => true,
            };
            let lanes =
                (0..row.len()).filter(|c| spans(*c)).map(|c| curves::lanes(&row[c])).max().unwrap_or(0);
            y += curves::LANE * lanes as f64;
            places.push((below_legends, lines, lanes));
            let height = |panel: &Panel| match panel {
                Panel::Curves(_) => self.height * MM,
                Panel::Map(map) => plot * map.values.rows() as f64 / map.values.cols().max(1) as f64,
            };
            let tallest = row.iter().map(height).fold(0.0, f64::max);
            frames.push(
                (0..row.len())
                    .map(|c| Frame {
                        left: columns.left(c),
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
            let (below_legends, lines, lanes) = &places[r];
            // a legend with fewer lines than its neighbour stands as near to its panels
            for legend in lines {
                legend.draw(&canvas, below_legends - legend.height(), &labels)?;
            }
            for (panel, frame) in row.iter().zip(&frames[r]) {
                let above = curves::LANE * *lanes as f64;
                for (i, line) in broken(title(panel), frame.width).iter().rev().enumerate() {
                    let y = frame.top - above - 55.0 - TEXT_LINE * i as f64;
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
            let maps_of_row = row.iter().zip(&frames[r]).rev().find_map(|(panel, frame)| match panel {
                Panel::Map(map) => Some((map, frame)),
                Panel::Curves(_) => None,
            });
            if let Some((map, frame)) = maps_of_row {
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

    /// How many panels a row has.
    fn in_a_row(&self) -> usize {
        self.columns.clamp(1, self.panels.len())
    }

    /// The columns, by the room that is needed left and right of the panel in a row and a column.
    fn columns_of(
        &self,
        rows: &[&[Panel]],
        left_of: impl Fn(usize, usize) -> f64,
        right_of: impl Fn(usize, usize) -> f64,
    ) -> Result<Columns> {
        let count = self.in_a_row();
        let (mut lefts, mut rights) = (vec![0.0f64; count], vec![0.0f64; count]);
        rights[count - 1] = 50.0;
        for (r, row) in rows.iter().enumerate() {
            for (c, _) in row.iter().enumerate() {
                lefts[c] = lefts[c].max(left_of(r, c));
                // right of a row that is not full is room enough, but for the end of the page
                let end = if c + 1 == row.len() { count - 1 } else { c };
                rights[end] = rights[end].max(right_of(r, c));
            }
        }
        let taken: f64 = lefts.iter().chain(&rights).sum();
        let plot = (self.width * MM - taken) / count as f64;
        if plot < 60.0 {
            let found = format!("{count} panels in a row of {} mm, which are too narrow", self.width);
            return Err(Error::value("columns", found, "fewer, or a wider page"));
        }
        Ok(Columns { lefts, rights, plot })
    }
}

/// From a line of a text to the next.
pub(crate) const TEXT_LINE: f64 = 85.0;
/// Lines of a text; what does not fit is left out.
const TEXT_LINES: usize = 5;

/// A title, or an entry of a legend, in lines of at most the width `most`, which end after a space or one of `,:=_`, or before a name's next part; a part
/// without any of these is broken where it is too wide.
pub(crate) fn broken(text: &str, most: f64) -> Vec<String> {
    let fits = |line: &str| width(line, NORMAL) <= most;
    let mut lines: Vec<String> = Vec::new();
    for part in parts(text) {
        match lines.last_mut() {
            Some(line) if fits(&format!("{line}{part}")) => line.push_str(part),
            _ if fits(part) => lines.push(part.to_owned()),
            _ => by_letters(part, &fits, &mut lines),
        }
    }
    if lines.len() > TEXT_LINES {
        lines.truncate(TEXT_LINES);
        lines[TEXT_LINES - 1].push('…');
    }
    lines
}

/// The parts of a text between which a line may end; not within a number or a range of numbers.
fn parts(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut pairs = rest.char_indices().zip(rest.char_indices().skip(1));
        let end = pairs.find_map(|((_, one), (at, next))| match one {
            ' ' | ',' | ':' | '=' | '_' => Some(at),
            '.' if next.is_alphabetic() => Some(at),
            _ => None,
        });
        let (part, more) = rest.split_at(end.unwrap_or(rest.len()));
        parts.push(part);
        rest = more;
    }
    parts
}

/// Adds lines with as many letters as fit, from a new line on.
fn by_letters(part: &str, fits: &dyn Fn(&str) -> bool, lines: &mut Vec<String>) {
    lines.push(String::new());
    for letter in part.chars() {
        match lines.last_mut() {
            Some(line) if line.is_empty() || fits(&format!("{line}{letter}")) => line.push(letter),
            _ => lines.push(letter.into()),
        }
    }
}

fn title(panel: &Panel) -> &str {
    match panel {
        Panel::Curves(panel) => &panel.title,
        Panel::Map(panel) => &panel.title,
    }
}

fn has_map(row: &[Panel]) -> bool {
    row.iter().any(|panel| matches!(panel, Panel::Map(_)))
}

/// Whether two neighbours have one vertical axis.
fn same_y(a: &Panel, b: &Panel, axes: &curves::Axes, row: usize) -> bool {
    match (a, b) {
        (Panel::Curves(a), Panel::Curves(b)) => a.y_label == b.y_label && axes.y(row, a) == axes.y(row, b),
        (Panel::Map(a), Panel::Map(b)) => (&a.y_label, &a.rows, a.first) == (&b.y_label, &b.rows, b.first),
        _ => false,
    }
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
        assert_eq!(parts("a.b 0..20: 0.5,"), ["a.", "b ", "0..20:", " ", "0.5,"]);
        assert!(broken("", most).is_empty());
        let word = "w".repeat(50);
        let lines = broken(&word, most);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, NORMAL) <= most), "{lines:?}");
        assert_eq!(lines.concat(), word);
        let short = broken(title, 1.0);
        assert_eq!((short.len(), short[TEXT_LINES - 1].chars().last()), (TEXT_LINES, Some('…')));
    }
}
