//! What a figure shows, as data.
use ihead::probe::Matrix;

/// A panel of a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Panel {
    /// Lines over an axis.
    Curves(Curves),
    /// A heat map.
    Map(Map),
}

impl From<Curves> for Panel {
    fn from(curves: Curves) -> Panel {
        Panel::Curves(curves)
    }
}

impl From<Map> for Panel {
    fn from(map: Map) -> Panel {
        Panel::Map(map)
    }
}

/// Lines over an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Above the panel; nothing if empty.
    pub title: String,
    /// What the horizontal axis is, with its unit.
    pub x_label: String,
    /// What the vertical axis is, with its unit.
    pub y_label: String,
    /// A logarithmic horizontal axis; numbers at or below zero are left out.
    pub log_x: bool,
    /// A logarithmic vertical axis; numbers at or below zero are left out.
    pub log_y: bool,
    /// The range of the vertical axis, with a little room at both ends, where lines are cut off; that of the data without it.
    pub y_range: Option<(f64, f64)>,
    /// The lines.
    pub series: Vec<Series>,
    /// Stretches of the horizontal axis with something to say about them, such as what is frozen.
    pub spans: Vec<Span>,
}

impl Curves {
    /// No lines yet, over linear axes.
    pub fn new(x_label: impl Into<String>, y_label: impl Into<String>) -> Curves {
        Curves { x_label: x_label.into(), y_label: y_label.into(), ..Curves::default() }
    }

    /// One more line.
    pub fn with(mut self, series: Series) -> Curves {
        self.series.push(series);
        self
    }
}

/// How much numbers over seeds differ at a point: the lower and the upper end of a band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Where on the horizontal axis.
    pub x: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend. Series of one name have one colour in the whole figure.
    pub label: String,
    /// Its points, from left to right; what is not finite interrupts it.
    pub points: Vec<(f64, f64)>,
    /// A band around it.
    pub band: Vec<Spread>,
    /// Points are drawn, too; for few points.
    pub dots: bool,
}

impl Series {
    /// A line through points.
    pub fn new(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series { label: label.into(), points: points.into_iter().collect(), band: vec![], dots: false }
    }
}

/// A stretch of the horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Where it begins.
    pub from: f64,
    /// Where it ends; the end of the axis without it. A stretch without length is a moment.
    pub to: Option<f64>,
    /// What it is.
    pub label: String,
}

/// What a token of an axis is. Its two colours are those of a token that the task has marked and of the token after one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing special.
    #[default]
    None,
    /// A token that the task has marked.
    Marked,
    /// A token after a marked one.
    After,
    /// A marked token of a task whose marks are triggers.
    Trigger,
    /// The output of a trigger.
    Output,
}

impl Mark {
    /// What a legend calls it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Mark::None => "",
            Mark::Marked => "marked by the task",
            Mark::After => "after a mark",
            Mark::Trigger => "trigger",
            Mark::Output => "output",
        }
    }
}

/// A matrix as a heat map, row 0 at the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Above the panel; nothing if empty.
    pub title: String,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// What the colours are, with the unit.
    pub z_label: String,
    /// The values, `[rows, columns]`.
    pub values: Matrix,
    /// The values of the darkest and of the brightest colour; those of all maps of the row without it.
    pub z_range: Option<(f64, f64)>,
    /// A name and a mark for each column; numbers from `first` if there are none.
    pub columns: Vec<(String, Mark)>,
    /// The same for each row.
    pub rows: Vec<(String, Mark)>,
    /// The number of the first row and column.
    pub first: usize,
    /// Cells above the diagonal are left white.
    pub causal: bool,
}
