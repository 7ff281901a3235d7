//! Figures of runs: publication size, colour-blind-safe, text as outlines, the same bytes for the same data.
//!
//! | | |
//! |---|---|
//! | [`Figure`] | panels in rows and columns, written as SVG or PNG |
//! | [`Curves`], [`Series`], [`Span`] | lines with bands over an axis, and what was frozen when |
//! | [`Map`] | a matrix as a heat map, with tokens on its axes and marks on them |
//! | [`runs`] | curves of recorded numbers of runs and sweeps, means and bands over seeds |
//! | [`attention()`], [`association()`] | maps of attention patterns and of the scores of a recall |
//!
//! ```
//! use ihead_figure::{Curves, Figure, Series};
//!
//! let line = Series::new("accuracy", [(0.0, 0.1), (100.0, 0.5), (200.0, 0.9)]);
//! let panel = Curves::new("iteration", "accuracy").with(line);
//! let figure = Figure::new([panel.into()]);
//! assert!(figure.svg()?.starts_with("<svg width=\"85mm\""));
//! # Ok::<(), ihead::Error>(())
//! ```
#[doc(hidden)]
pub mod again;
mod canvas;
mod curves;
#[cfg(test)]
mod drawn;
mod figure;
mod legend;
mod maps;
mod palette;
mod panel;
pub mod runs;
mod ticks;

pub use figure::Figure;
pub use maps::{Tokens, association, attention};
pub use panel::{Curves, Map, Mark, Panel, Series, Span, Spread};
