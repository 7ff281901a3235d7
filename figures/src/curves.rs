//! Lines over an axis, drawn.
use std::collections::BTreeMap;

use ihead::Result;

use crate::canvas::{At, Canvas, NORMAL, Point, SMALL, width};
use crate::figure::Frame;
use crate::palette;
use crate::panel::{Curves, Panel, Series, Span};
use crate::ticks::Axis;

/// The height of a stretch above a panel.
pub(crate) const LANE: f64 = 78.0;

/// The axes of all panels with lines.
pub(crate) struct Axes {
    x: BTreeMap<(String, bool), Axis>,
    y: BTreeMap<(usize, String, bool), Axis>,
    none: Axis,
}

impl Axes {
    pub fn x(&self, panel: &Curves) -> &Axis {
        self.x.get(&(panel.x_label.clone(), panel.log_x)).unwrap_or(&self.none)
    }

    pub fn y(&self, row: usize, panel: &Curves) -> &Axis {
        self.y.get(&(row, panel.y_label.clone(), panel.log_y)).unwrap_or(&self.none)
    }
}

/// One horizontal axis for all panels with its label, one vertical axis for those of a row.
pub(crate) fn axes(rows: &[&[Panel]]) -> Axes {
    let mut xs: BTreeMap<(String, bool), Vec<f64>> = BTreeMap::new();
    let mut ys: BTreeMap<(usize, String, bool), Vec<f64>> = BTreeMap::new();
    for (r, row) in rows.iter().enumerate() {
        for panel in row.iter() {
            let Panel::Curves(panel) = panel else { continue };
            let x = xs.entry((panel.x_label.clone(), panel.log_x)).or_default();
            let y = ys.entry((r, panel.y_label.clone(), panel.log_y)).or_default();
            for series in &panel.series {
                let shown = |v: &f64, log: bool| v.is_finite() && (!log || *v > 0.0);
                x.extend(series.points.iter().map(|p| p.0).filter(|v| shown(v, panel.log_x)));
                y.extend(series.points.iter().map(|p| p.1).filter(|v| shown(v, panel.log_y)));
                let ends = series.band.iter().flat_map(|s| [s.low, s.high]);
                y.extend(ends.filter(|v| shown(v, panel.log_y)));
            }
            if let Some((low, high)) = panel.y_range {
                *y = vec![low, high];
            }
        }
    }
    let span = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low <= high { (low, high) } else { (1.0, 2.0) }
    };
    let x = xs.into_iter().map(|(key, values)| {
        let (low, high) = span(&values);
        let mut axis = Axis::new(low, high, key.1, 6);
        if key.1 {
            axis.at_few(&values);
        }
        (key, axis)
    });
    let y = ys.into_iter().map(|(key, values)| {
        let (low, high) = span(&values);
        // room above and below the lines; a share or a loss that nearly reaches zero begins there
        let room = 0.04 * (high - low);
        let (low, high) = match key.2 {
            true => (low / 1.1, high * 1.1),
            false if low >= 0.0 && low < 0.25 * high => (0.0, high + room),
            false => (low - room, high + room),
        };
        (key.clone(), Axis::new(low, high, key.2, 6))
    });
    Axes { x: x.collect(), y: y.collect(), none: Axis::new(0.0, 1.0, false, 5) }
}

/// How many stretches stand above each other.
pub(crate) fn lanes(panel: &Panel) -> usize {
    match panel {
        Panel::Curves(panel) => panel.spans.len(),
        Panel::Map(_) => 0,
    }
}

/// The room left of a panel.
pub(crate) fn left(panel: &Curves, y: &Axis, written: bool) -> f64 {
    if !written {
        return 90.0;
    }
    let texts = y.texts().iter().map(|text| width(text, SMALL)).fold(0.0, f64::max);
    let label = if panel.y_label.is_empty() { 0.0 } else { 1.5 * NORMAL };
    20.0 + label + texts + 45.0
}

/// The room right of a panel: the number at the end of its axis stands half outside.
pub(crate) fn right(x: &Axis) -> f64 {
    outside(x, |at| at > 0.95)
}

/// The room that the number at the beginning of its axis takes left of a panel.
pub(crate) fn before(x: &Axis) -> f64 {
    outside(x, |at| at < 0.05)
}

/// Half of the widest number at some places, with a margin.
fn outside(x: &Axis, there: impl Fn(f64) -> bool) -> f64 {
    let ticks = x.ticks.iter().zip(x.texts()).filter(|(tick, _)| x.place(**tick).is_some_and(&there));
    ticks.map(|(_, text)| width(&text, SMALL) / 2.0 + 10.0).fold(0.0, f64::max)
}

pub(crate) fn draw(
    canvas: &Canvas<'_>,
    panel: &Curves,
    frame: Frame,
    x: &Axis,
    y: &Axis,
    labels: &[String],
) -> Result<()> {
    let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
    let at_x = |v: f64| x.place(v).map(|at| frame.left + at * frame.width);
    let at_y = |v: f64| y.along(v).map(|at| bottom - at * frame.height);

    for (tick, text) in y.ticks.iter().zip(y.texts()) {
        let Some(at) = at_y(*tick) else { continue };
        canvas.line(&[(frame.left, at), (right, at)], palette::FAINT, 5)?;
        if frame.y_axis {
            canvas.text(&text, (frame.left - 35.0, at), SMALL, palette::INK, At::Right)?;
        }
        canvas.line(&[(frame.left - 20.0, at), (frame.left, at)], palette::INK, 6)?;
    }
    let mut free = f64::NEG_INFINITY;
    for (tick, text) in x.ticks.iter().zip(x.texts()) {
        let Some(at) = at_x(*tick) else { continue };
        canvas.line(&[(at, frame.top), (at, bottom)], palette::FAINT, 5)?;
        canvas.line(&[(at, bottom), (at, bottom + 20.0)], palette::INK, 6)?;
        let half = width(&text, SMALL) / 2.0;
        if frame.x_axis && at - half > free {
            canvas.text(&text, (at, bottom + 62.0), SMALL, palette::INK, At::Middle)?;
            free = at + half + 30.0;
        }
    }
    for (lane, span) in panel.spans.iter().enumerate() {
        draw_span(canvas, span, frame, x, lane, panel.spans.len())?;
    }
    for series in &panel.series {
        let (colour, stroke) = palette::line(labels.iter().position(|l| *l == series.label).unwrap_or(0));
        let place = |px: f64, py: f64| Some((at_x(px)?, at_y(py)?));
        let upper = series.band.iter().filter_map(|s| place(s.x, s.high));
        let mut outline: Vec<Point> = upper.collect();
        outline.extend(series.band.iter().rev().filter_map(|s| place(s.x, s.low)));
        let outline = cut_outline(&outline, frame.top, |y| y >= frame.top);
        let outline = cut_outline(&outline, bottom, |y| y <= bottom);
        if outline.len() > 3 {
            canvas.area(&outline, colour, 0.22)?;
        }
        for points in pieces(series, place) {
            for inside in parts_inside(&points, frame.top, bottom) {
                canvas.stroke(&inside, colour, 12, stroke)?;
            }
            if series.dots || points.len() == 1 {
                for point in points.into_iter().filter(|point| (frame.top..=bottom).contains(&point.1)) {
                    canvas.dot(point, 17.0, colour)?;
                }
            }
        }
    }
    canvas.line(&[(frame.left, frame.top), (frame.left, bottom), (right, bottom)], palette::INK, 7)?;
    if frame.y_axis {
        canvas.upwards(
            &panel.y_label,
            (20.0 + NORMAL / 2.0 + frame.left - left(panel, y, true), frame.top + frame.height / 2.0),
            NORMAL,
            palette::INK,
        )?;
    }
    if frame.x_axis {
        canvas.text(
            &panel.x_label,
            (frame.left + frame.width / 2.0, bottom + 155.0),
            NORMAL,
            palette::INK,
            At::Middle,
        )?;
    }
    Ok(())
}

/// The points of a line in pieces without gaps.
fn pieces(series: &Series, place: impl Fn(f64, f64) -> Option<Point>) -> Vec<Vec<Point>> {
    let mut pieces = vec![Vec::new()];
    for (x, y) in &series.points {
        match (place(*x, *y), pieces.last_mut()) {
            (Some(point), Some(piece)) => piece.push(point),
            (None, Some(piece)) if !piece.is_empty() => pieces.push(Vec::new()),
            _ => {}
        }
    }
    pieces
}

/// The parts of a line between two heights.
fn parts_inside(points: &[Point], top: f64, bottom: f64) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if a.1.max(b.1) < top || a.1.min(b.1) > bottom {
            continue;
        }
        let end = |point: Point| match point.1 {
            y if y < top => crossing(a, b, top),
            y if y > bottom => crossing(a, b, bottom),
            _ => point,
        };
        match parts.last_mut() {
            Some(part) if part.last() == Some(&end(a)) => part.push(end(b)),
            _ => parts.push(vec![end(a), end(b)]),
        }
    }
    parts
}

/// The part of a closed outline that `is_inside` says of a height, whose limit is `limit`.
fn cut_outline(outline: &[Point], limit: f64, is_inside: impl Fn(f64) -> bool) -> Vec<Point> {
    let mut kept = Vec::new();
    let before = outline.last().into_iter().chain(outline);
    for (a, b) in before.zip(outline) {
        if is_inside(a.1) != is_inside(b.1) {
            kept.push(crossing(*a, *b, limit));
        }
        if is_inside(b.1) {
            kept.push(*b);
        }
    }
    kept
}

/// Where the line between two points is at a height between theirs.
fn crossing(a: Point, b: Point, y: f64) -> Point {
    (a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1), y)
}

/// A grey bar above the panel with its text, and a line where it ends. The text stands beside the bar, which it does not cover.
fn draw_span(
    canvas: &Canvas<'_>,
    span: &Span,
    frame: Frame,
    x: &Axis,
    lane: usize,
    lanes: usize,
) -> Result<()> {
    let at = |v: f64| x.place(v.min(x.high())).map_or(frame.left, |at| frame.left + at * frame.width);
    let (from, to) = (at(span.from), at(span.to.unwrap_or(x.high())));
    let bottom = frame.top + frame.height;
    for end in [from, to] {
        if end > frame.left + 1.0 && end < frame.left + frame.width - 1.0 {
            canvas.stroke(&[(end, frame.top), (end, bottom)], palette::GREY, 7, palette::DASHES)?;
        }
    }
    if !frame.spans {
        return Ok(());
    }
    let middle = frame.top - LANE * (lanes - lane) as f64 + LANE / 2.0 - 6.0;
    let right = frame.left + frame.width;
    let is_moment = span.to == Some(span.from);
    // the room right of it and left of it; the text of a stretch may also stand over it, on all of the panel
    let (behind, before) = (right + 30.0 - (to + 25.0), from - 25.0 - frame.left);
    let over = if is_moment { 0.0 } else { frame.width };
    let label = cut(&span.label, behind.max(before).max(over));
    let needed = width(&label, SMALL);
    let (text, side, (bar, half)) = if needed <= behind {
        (to + 25.0, At::Left, (middle, 14.0))
    } else if needed <= before {
        (from - 25.0, At::Right, (middle, 14.0))
    } else {
        // a panel that is too narrow for both beside each other: the text stands on a thin bar
        let from = ((from + to - needed) / 2.0).min(right - needed).max(frame.left);
        (from, At::Left, (middle + 36.0, 5.0))
    };
    if is_moment {
        canvas.dot((from, bar), half + 4.0, palette::GREY)?;
    } else {
        canvas.rect((from, bar - half), (to.max(from + 10.0), bar + half), palette::GREY, 0.55)?;
    }
    canvas.text(&label, (text, middle), SMALL, palette::GREY, side)
}

/// As much of a text as has room, with an ellipsis where that is not all.
fn cut(text: &str, most: f64) -> String {
    let mut kept = text.to_owned();
    while width(&kept, SMALL) > most {
        let Some((end, _)) = kept.trim_end_matches('…').char_indices().next_back() else { break };
        kept.truncate(end);
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_of_a_range_is_cut_off_where_it_crosses_its_ends() {
        let line = [(0.0, -10.0), (10.0, 10.0), (20.0, 30.0), (30.0, 10.0), (40.0, 10.0)];
        let parts = parts_inside(&line, 0.0, 20.0);
        let expected =
            [vec![(5.0, 0.0), (10.0, 10.0), (15.0, 20.0)], vec![(25.0, 20.0), (30.0, 10.0), (40.0, 10.0)]];
        assert_eq!(parts, expected);
        assert!(parts_inside(&[(0.0, 30.0), (1.0, 21.0)], 0.0, 20.0).is_empty());
        // from one side to the other
        assert_eq!(parts_inside(&[(0.0, -20.0), (4.0, 60.0)], 0.0, 20.0), [[(1.0, 0.0), (2.0, 20.0)]]);

        let band = [(0.0, -10.0), (10.0, 10.0), (10.0, 15.0), (0.0, 10.0)];
        let inside = [(0.0, 0.0), (5.0, 0.0), (10.0, 10.0), (10.0, 15.0), (0.0, 10.0)];
        assert_eq!(cut_outline(&band, 0.0, |y| y >= 0.0), inside);
        assert_eq!(cut_outline(&inside, 20.0, |y| y <= 20.0), inside);
        assert!(cut_outline(&[], 0.0, |y| y >= 0.0).is_empty());
    }
}
