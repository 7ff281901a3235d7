//! Colours that readers with any colour vision can tell apart.
use plotters::style::RGBColor;

/// The palette of Okabe and Ito (2008), the darkest first, without its yellow, which is faint on white.
const LINES: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// How many steps a map has. Neighbours of one step are drawn as one rectangle.
const STEPS: usize = 64;

pub(crate) const WHITE: RGBColor = RGBColor(255, 255, 255);
pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
pub(crate) const FAINT: RGBColor = RGBColor(225, 225, 225);
pub(crate) const GREY: RGBColor = RGBColor(120, 120, 120);
pub(crate) const TRIGGER: RGBColor = LINES[1];
pub(crate) const OUTPUT: RGBColor = LINES[0];

/// How a line is drawn. Its number in the figure decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stroke {
    Solid,
    /// Dashes of this length, with gaps of this length between them, in tenths of a point.
    Dashes(i32, i32),
}

pub(crate) const DASHES: Stroke = Stroke::Dashes(30, 18);

/// After seven lines the colours begin anew, with the next of these.
const STROKES: [Stroke; 4] = [Stroke::Solid, DASHES, Stroke::Dashes(9, 14), Stroke::Dashes(70, 25)];

/// The colour and the stroke of a line: the first 28 differ from each other.
pub(crate) fn line(number: usize) -> (RGBColor, Stroke) {
    (LINES[number % LINES.len()], STROKES[number / LINES.len() % STROKES.len()])
}

/// The step of a value between 0 and 1; NaN has none.
pub(crate) fn step(value: f64) -> Option<usize> {
    (!value.is_nan()).then(|| (value.clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize)
}

/// The colour of a step: cividis, whose lightness rises evenly for every colour vision.
pub(crate) fn map(step: usize) -> RGBColor {
    let colour = colorous::CIVIDIS.eval_rational(step.min(STEPS - 1), STEPS);
    RGBColor(colour.r, colour.g, colour.b)
}
