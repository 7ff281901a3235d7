//! Heat maps: of attention, of associations.
use ihead::io::Array;
use ihead::probe::{Matrix, Recall, StateDict};
use ihead::{Error, Result};

use crate::canvas::{At, Canvas, NORMAL, SMALL, width};
use crate::figure::Frame;
use crate::palette;
use crate::panel::{Map, Mark, Panel};
use crate::ticks::Axis;

/// The widest name of a row or column that is written whole.
const LONGEST: usize = 12;

/// The tokens of a sequence and what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// A text for each token.
    pub texts: Vec<String>,
    /// A mark for each token.
    pub marks: Vec<Mark>,
}

impl Tokens {
    /// The tokens `x` of a sequence with the marks of its task: a token with a mark above 0 is one that the task has marked, and the
    /// next one comes after a mark. `text` gives a token's text.
    pub fn new(x: &[u32], marks: &[i32], text: impl Fn(u32) -> String) -> Tokens {
        let mark = |t: usize| match () {
            () if marks.get(t).is_some_and(|mark| *mark > 0) => Mark::Marked,
            () if t > 0 && marks.get(t - 1).is_some_and(|mark| *mark > 0) => Mark::After,
            () => Mark::None,
        };
        let texts = x.iter().map(|token| visible(&text(*token)));
        Tokens { texts: texts.collect(), marks: (0..x.len()).map(mark).collect() }
    }

    /// The same tokens of a task whose marks are triggers, as in [`ihead::data::TriggerTask`]: a legend calls a marked token a trigger,
    /// and the one after it an output.
    pub fn triggers(mut self) -> Tokens {
        for mark in &mut self.marks {
            *mark = match *mark {
                Mark::Marked => Mark::Trigger,
                Mark::After => Mark::Output,
                other => other,
            };
        }
        self
    }
}

/// A token's text as something that can be seen.
fn visible(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| match c {
            ' ' => '\u{2423}',
            '\n' => '\u{21b5}',
            '\t' => '\u{21e5}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    shown
}

/// The attention of a head in a sequence, at the positions `from..to`: a panel of a pattern `[batch, heads, seq, seq]`, as
/// [`ihead::run::activations`] gives it.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead_figure::{Figure, Tokens, attention};
///
/// let model = Simplified::new(10, &SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() })?.init(0);
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// let pattern = ihead::run::activations(&model, &batch, "layers.1.attention.pattern")?;
/// let (x, _, marks) = batch.sequence(0);
/// let tokens = Tokens::new(x, marks, |token| token.to_string());
/// let map = attention("layer 1", &pattern, 0, 0, 0..4, &tokens)?;
/// assert!(Figure::new([map.into()]).svg()?.len() > 1000); // or `.save("attention.svg".as_ref())`
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If there is no such sequence, head or position.
pub fn attention(
    title: impl Into<String>,
    pattern: &Array,
    sequence: usize,
    head: usize,
    positions: std::ops::Range<usize>,
    tokens: &Tokens,
) -> Result<Map> {
    let [batch, heads, seq, keys] = pattern.shape[..] else {
        return Err(Error::shape("an attention pattern", &[0, 0, 0, 0], &pattern.shape));
    };
    for (what, found, most) in [
        ("sequence", sequence, batch),
        ("head", head, heads),
        ("position", positions.end.saturating_sub(1), seq.min(keys)),
    ] {
        if found >= most {
            return Err(Error::index(what, found, "an attention pattern", most));
        }
    }
    if positions.is_empty() {
        return Err(Error::value("positions", "none", "a range such as 0..40"));
    }
    let row = |q: usize| ((sequence * heads + head) * seq + q) * keys;
    let values: Vec<f64> = positions
        .clone()
        .flat_map(|q| positions.clone().map(move |k| (q, k)))
        .map(|(q, k)| f64::from(pattern.values[row(q) + k]))
        .collect();
    let named = |t: usize| {
        (tokens.texts.get(t).cloned().unwrap_or_default(), tokens.marks.get(t).copied().unwrap_or_default())
    };
    let names: Vec<(String, Mark)> =
        if tokens.texts.is_empty() { vec![] } else { positions.clone().map(named).collect() };
    Ok(Map {
        title: title.into(),
        x_label: "key".into(),
        y_label: "query".into(),
        z_label: "attention".into(),
        values: Matrix::new(positions.len(), positions.len(), values)?,
        z_range: Some((0.0, 1.0)),
        columns: names.clone(),
        rows: names,
        first: positions.start,
        causal: true,
    })
}

/// The scores of a recall: a row for each input, a column for each target, as in `W_U W_O W_V W_E`. The first `most` of each. `text(n, i)` names
/// token `i` of a side with `n` rows, or nothing if these are no tokens.
///
/// ```
/// use ihead::config::Config;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead_figure::{Figure, association};
///
/// let model = Simplified::new(10, &SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() })?.init(0);
/// let recall = ihead::recall!("reads: tok_embeddings -> output => self");
/// let map = association("reads", &recall, &model, 64, |_, _| None)?;
/// assert_eq!((map.values.rows(), map.values.cols()), (10, 10));
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If there is no weight of a name, or shapes do not fit.
pub fn association(
    title: impl Into<String>,
    recall: &Recall,
    weights: &dyn StateDict,
    most: usize,
    text: impl Fn(usize, usize) -> Option<String>,
) -> Result<Map> {
    let scores = recall.scores(weights)?;
    let (rows, cols) = (scores.rows().min(most), scores.cols().min(most));
    let values: Vec<f64> = (0..rows).flat_map(|i| scores.row(i)[..cols].to_vec()).collect();
    let names = |whole: usize, n: usize| {
        let named: Option<Vec<String>> = (0..n).map(|i| text(whole, i)).collect();
        named.map_or(vec![], |names| names.iter().map(|name| (visible(name), Mark::None)).collect::<Vec<_>>())
    };
    let (rows_named, columns_named) = (names(scores.rows(), rows), names(scores.cols(), cols));
    // an association of each row with the one before it is one of positions
    let positions = recall.association().to_string().starts_with("previous");
    let axis = |what: &str, named: &[(String, Mark)]| match () {
        () if positions => format!("{what} position"),
        () if !named.is_empty() => format!("{what} token"),
        () => what.to_string(),
    };
    Ok(Map {
        title: title.into(),
        x_label: axis("target", &columns_named),
        y_label: axis("input", &rows_named),
        z_label: "score".into(),
        values: Matrix::new(rows, cols, values)?,
        z_range: None,
        columns: columns_named,
        rows: rows_named,
        first: 0,
        causal: false,
    })
}

/// The values of the darkest and the brightest colour of the maps of a row.
pub(crate) fn scale(panels: &[Panel]) -> (f64, f64) {
    let mut ends = (f64::INFINITY, f64::NEG_INFINITY);
    for panel in panels {
        let Panel::Map(map) = panel else { continue };
        let finite = map.values.values().iter().copied().filter(|v| v.is_finite());
        let own = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = map.z_range.unwrap_or(own);
        ends = (ends.0.min(low), ends.1.max(high));
    }
    match ends {
        (low, high) if low < high => (low, high),
        (low, _) if low.is_finite() => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    }
}

fn bar_axis((low, high): (f64, f64)) -> Axis {
    Axis::new(low, high, false, 6)
}

/// The room right of a row for the bar of colours; none for a row without maps.
pub(crate) fn bar_width(panels: &[Panel], scale: (f64, f64)) -> f64 {
    if !panels.iter().any(|panel| matches!(panel, Panel::Map(_))) {
        return 0.0;
    }
    let label = panels.iter().any(|panel| matches!(panel, Panel::Map(map) if !map.z_label.is_empty()));
    let texts = bar_axis(scale).texts().iter().map(|text| width(text, SMALL)).fold(0.0, f64::max);
    60.0 + 60.0 + 40.0 + texts + if label { 1.4 * NORMAL } else { 10.0 } + 20.0
}

/// The room left of a map.
pub(crate) fn left(map: &Map, written: bool) -> f64 {
    if !written {
        return 80.0;
    }
    let longest = if map.rows.is_empty() {
        width("000", SMALL)
    } else {
        map.rows.iter().map(|(name, _)| width(name, SMALL)).fold(0.0, f64::max)
    };
    20.0 + 1.5 * NORMAL + longest + 40.0
}

/// The room below a map.
pub(crate) fn under(map: &Map) -> f64 {
    let longest = if map.columns.iter().any(|(name, _)| name.chars().count() > 1) {
        map.columns.iter().map(|(name, _)| width(name, SMALL)).fold(0.0, f64::max)
    } else {
        SMALL
    };
    20.0 + longest + 45.0 + 1.3 * NORMAL
}

pub(crate) fn draw(canvas: &Canvas<'_>, map: &Map, frame: Frame, scale: (f64, f64)) -> Result<()> {
    let (rows, cols) = (map.values.rows(), map.values.cols());
    let (cell_w, cell_h) = (frame.width / cols.max(1) as f64, frame.height / rows.max(1) as f64);
    let (x, y) = (|c: usize| frame.left + c as f64 * cell_w, |r: usize| frame.top + r as f64 * cell_h);
    for r in 0..rows {
        let shown = if map.causal { (r + 1).min(cols) } else { cols };
        let step = |c: usize| palette::step((map.values.row(r)[c] - scale.0) / (scale.1 - scale.0));
        let mut c = 0;
        while c < shown {
            // cells of one colour are one rectangle
            let (first, colour) = (c, step(c));
            while c < shown && step(c) == colour {
                c += 1;
            }
            if let Some(colour) = colour {
                // a little over what is drawn next, or a white hair would be left between two cells
                let (over_x, over_y) =
                    (if c < shown { 12.0 } else { 0.0 }, if r + 1 < rows { 12.0 } else { 0.0 });
                let to = (x(c) + over_x, y(r + 1) + over_y);
                canvas.rect((x(first), y(r)), to, palette::map(colour), 1.0)?;
            }
        }
    }
    let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
    canvas.line(
        &[
            (frame.left, frame.top),
            (frame.left, bottom),
            (right, bottom),
            (right, frame.top),
            (frame.left, frame.top),
        ],
        palette::INK,
        5,
    )?;

    let turned = map.columns.iter().any(|(name, _)| name.chars().count() > 1);
    for (i, name, mark, size) in written(&map.columns, cols, cell_w, map.first) {
        let at = x(i) + cell_w / 2.0;
        canvas.line(&[(at, bottom), (at, bottom + 14.0)], colour_of(mark), 5)?;
        if turned {
            canvas.upwards(&name, (at, bottom + 30.0 + width(&name, size) / 2.0), size, colour_of(mark))?;
        } else {
            canvas.text(&name, (at, bottom + 25.0 + SMALL / 2.0), size, colour_of(mark), At::Middle)?;
        }
    }
    if frame.y_axis {
        for (i, name, mark, size) in written(&map.rows, rows, cell_h, map.first) {
            let at = y(i) + cell_h / 2.0;
            canvas.line(&[(frame.left - 14.0, at), (frame.left, at)], colour_of(mark), 5)?;
            canvas.text(&name, (frame.left - 28.0, at), size, colour_of(mark), At::Right)?;
        }
        canvas.upwards(
            &map.y_label,
            (frame.left - left(map, true) + 20.0 + NORMAL / 2.0, frame.top + frame.height / 2.0),
            NORMAL,
            palette::INK,
        )?;
    }
    canvas.text(
        &map.x_label,
        (frame.left + frame.width / 2.0, bottom + under(map) - 0.65 * NORMAL),
        NORMAL,
        palette::INK,
        At::Middle,
    )
}

pub(crate) fn colour_of(mark: Mark) -> plotters::style::RGBColor {
    match mark {
        Mark::None => palette::INK,
        Mark::Trigger | Mark::Marked => palette::TRIGGER,
        Mark::Output | Mark::After => palette::OUTPUT,
    }
}

/// The names of an axis that there is room for, with their sizes; round numbers where there are no names.
fn written(
    names: &[(String, Mark)],
    count: usize,
    cell: f64,
    first: usize,
) -> Vec<(usize, String, Mark, f64)> {
    if names.is_empty() {
        let (last, room) = ((first + count) as f64, count as f64 * cell / 260.0);
        let axis = Axis::new(first as f64, last, false, (room as usize).clamp(2, 9));
        let whole = axis.ticks.iter().filter(|tick| tick.fract() == 0.0 && **tick < last);
        return whole.map(|tick| (*tick as usize - first, format!("{tick}"), Mark::None, SMALL)).collect();
    }
    let size = (0.98 * cell).clamp(46.0, SMALL);
    let every = (size / cell / 1.02).ceil().max(1.0) as usize;
    let shown =
        names.iter().enumerate().filter(|(i, (_, mark))| i % every == 0 || every < 3 && *mark != Mark::None);
    shown.map(|(i, (name, mark))| (i, name.clone(), *mark, size)).collect()
}

/// The bar that says which colour is which value.
pub(crate) fn bar(canvas: &Canvas<'_>, map: &Map, frame: Frame, scale: (f64, f64)) -> Result<()> {
    let (left, bottom) = (frame.left + frame.width + 60.0, frame.top + frame.height);
    const PARTS: usize = 64;
    for i in 0..PARTS {
        let at = |i: usize| bottom - frame.height * i as f64 / PARTS as f64;
        let over = if i + 1 < PARTS { 12.0 } else { 0.0 };
        canvas.rect((left, at(i + 1) - over), (left + 60.0, at(i)), palette::map(i), 1.0)?;
    }
    let axis = bar_axis(scale);
    for (tick, text) in axis.ticks.iter().zip(axis.texts()) {
        let at = bottom - axis.place(*tick).unwrap_or(0.0) * frame.height;
        canvas.line(&[(left + 60.0, at), (left + 78.0, at)], palette::INK, 5)?;
        canvas.text(&text, (left + 95.0, at), SMALL, palette::INK, At::Left)?;
    }
    let texts = axis.texts().iter().map(|text| width(text, SMALL)).fold(0.0, f64::max);
    canvas.upwards(
        &map.z_label,
        (left + 95.0 + texts + 0.9 * NORMAL, frame.top + frame.height / 2.0),
        NORMAL,
        palette::INK,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_after_a_marked_one_is_marked_itself_or_after_a_mark() {
        let tokens = Tokens::new(&[5, 6, 7, 8], &[1, 2, 0, 0], |token| token.to_string());
        assert_eq!(tokens.marks, [Mark::Marked, Mark::Marked, Mark::After, Mark::None]);
        // only a task with triggers has any
        assert_eq!(tokens.triggers().marks, [Mark::Trigger, Mark::Trigger, Mark::Output, Mark::None]);
        // a task without marks
        assert_eq!(Tokens::new(&[5, 6], &[], |token| token.to_string()).marks, [Mark::None; 2]);
    }

    #[test]
    fn a_name_can_be_seen_and_is_cut_where_it_is_long() {
        assert_eq!(visible("a\tb\u{7}"), "a\u{21e5}b\u{fffd}");
        assert_eq!(visible("abcdefghijkl"), "abcdefghijkl");
        assert_eq!(visible("abcdefghijklm"), "abcdefghijkl");
    }

    /// `[2, 2, 3, 3]`: the value of a place tells where it is.
    #[test]
    fn a_map_of_attention_has_the_weights_of_its_sequence_head_and_positions() {
        let pattern = Array { shape: vec![2, 2, 3, 3], values: (0..36).map(|i| i as f32).collect() };
        let map = attention("", &pattern, 1, 0, 1..3, &Tokens::default()).unwrap();
        // ((1 * 2 + 0) * 3 + q) * 3 + k
        assert_eq!(map.values.values(), [22.0, 23.0, 25.0, 26.0]);
        assert_eq!((map.first, map.rows.len(), map.causal), (1, 0, true));
        let flat = Array { shape: vec![3, 3], values: vec![0.0; 9] };
        assert!(attention("", &flat, 0, 0, 0..3, &Tokens::default()).is_err());
        let refused = |sequence, head, positions| {
            attention("", &pattern, sequence, head, positions, &Tokens::default())
        };
        assert!(refused(2, 0, 0..3).is_err() && refused(0, 2, 0..3).is_err() && refused(0, 0, 0..4).is_err());
    }

    #[test]
    fn maps_of_a_row_share_the_colours_from_their_lowest_to_their_highest_value() {
        let map = |values: [f64; 2], z_range| {
            Panel::Map(Map {
                title: String::new(),
                x_label: String::new(),
                y_label: String::new(),
                z_label: String::new(),
                values: Matrix::new(1, 2, values.into()).unwrap(),
                z_range,
                columns: vec![],
                rows: vec![],
                first: 0,
                causal: false,
            })
        };
        assert_eq!(scale(&[map([1.0, 2.0], None), map([-3.0, f64::INFINITY], None)]), (-3.0, 2.0));
        assert_eq!(scale(&[map([1.0, 2.0], Some((0.0, 5.0))), map([3.0, 9.0], None)]), (0.0, 9.0));
        assert_eq!(scale(&[map([4.0, 4.0], None)]), (3.5, 4.5));
        assert_eq!(scale(&[map([f64::NAN, f64::NAN], None)]), (0.0, 1.0));
    }
}
