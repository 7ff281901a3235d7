//! Drawing: lengths in tenths of a point, text measured in its own font.
use std::sync::LazyLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use skrifa::MetadataProvider;
use skrifa::instance::{LocationRef, Size};

use ihead::{Error, Result};

use crate::palette::Stroke;

/// The font, also that of the outlines.
pub(crate) const FONT: &str = "DejaVu Sans";

/// Sizes of text.
pub(crate) const SMALL: f64 = 62.0;
pub(crate) const NORMAL: f64 = 70.0;

/// Where a text stands in relation to its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Left,
    Middle,
    Right,
}

/// A page.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

pub(crate) type Point = (f64, f64);

fn whole((x, y): Point) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::device("svg", error.to_string())
}

impl<'a> Canvas<'a> {
    pub fn new(into: &'a mut String, width: f64, height: f64) -> Canvas<'a> {
        let size = (width.round().max(1.0) as u32, height.round().max(1.0) as u32);
        Canvas { area: SVGBackend::with_string(into, size).into_drawing_area() }
    }

    pub fn stroke(&self, points: &[Point], colour: RGBColor, width: u32, stroke: Stroke) -> Result<()> {
        let Stroke::Dashes(length, gap) = stroke else { return self.line(points, colour, width) };
        let points = points.iter().copied().map(whole);
        let path = plotters::element::DashedPathElement::new(points, length, gap, colour.stroke_width(width));
        self.area.draw(&path).map_err(failed)
    }

    pub fn line(&self, points: &[Point], colour: RGBColor, width: u32) -> Result<()> {
        let path = PathElement::new(
            points.iter().copied().map(whole).collect::<Vec<_>>(),
            colour.stroke_width(width),
        );
        self.area.draw(&path).map_err(failed)
    }

    pub fn area(&self, points: &[Point], colour: RGBColor, opacity: f64) -> Result<()> {
        let polygon =
            Polygon::new(points.iter().copied().map(whole).collect::<Vec<_>>(), colour.mix(opacity));
        self.area.draw(&polygon).map_err(failed)
    }

    pub fn rect(&self, from: Point, to: Point, colour: RGBColor, opacity: f64) -> Result<()> {
        let style = colour.mix(opacity).filled();
        self.area.draw(&Rectangle::new([whole(from), whole(to)], style)).map_err(failed)
    }

    pub fn dot(&self, at: Point, radius: f64, colour: RGBColor) -> Result<()> {
        self.area.draw(&Circle::new(whole(at), radius.round() as i32, colour.filled())).map_err(failed)
    }

    /// A text whose middle line is at `at`.
    pub fn text(&self, text: &str, at: Point, size: f64, colour: RGBColor, h: At) -> Result<()> {
        // its baseline stands a third of its size below its middle
        self.write(text, (at.0, at.1 + 0.35 * size), size, colour, h, FontTransform::None)
    }

    /// A text from the bottom to the top.
    pub fn upwards(&self, text: &str, at: Point, size: f64, colour: RGBColor) -> Result<()> {
        self.write(text, (at.0 + 0.35 * size, at.1), size, colour, At::Middle, FontTransform::Rotate270)
    }

    fn write(
        &self,
        text: &str,
        at: Point,
        size: f64,
        colour: RGBColor,
        h: At,
        turn: FontTransform,
    ) -> Result<()> {
        let h = match h {
            At::Left => HPos::Left,
            At::Middle => HPos::Center,
            At::Right => HPos::Right,
        };
        // `Bottom` moves a text up by half the height of an x: moved back here
        let x_height = 0.547 * size / 2.0;
        let at = match turn {
            FontTransform::Rotate270 => (at.0 + x_height, at.1),
            _ => (at.0, at.1 + x_height),
        };
        let style = TextStyle::from((FONT, size * 1.24).into_font().transform(turn))
            .color(&colour)
            .pos(Pos::new(h, VPos::Bottom));
        self.area.draw(&Text::new(text.to_string(), whole(at), style)).map_err(failed)
    }

    pub fn finish(self) -> Result<()> {
        self.area.present().map_err(failed)
    }
}

/// The width of a text.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    static FACE: LazyLock<Option<skrifa::FontRef<'static>>> =
        LazyLock::new(|| skrifa::FontRef::new(dejavu::sans::regular()).ok());
    let Some(font) = &*FACE else { return 0.6 * size * text.chars().count() as f64 };
    let (glyphs, metrics) =
        (font.charmap(), font.glyph_metrics(Size::new(size as f32), LocationRef::default()));
    text.chars()
        .map(|c| glyphs.map(c).and_then(|glyph| metrics.advance_width(glyph)).map_or(0.6 * size, f64::from))
        .sum()
}
