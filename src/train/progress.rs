//! A progress bar on a terminal, plain lines elsewhere.
use std::fmt::Write;
use std::io::IsTerminal;

use crate::Result;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// The progress of a run on the screen: a line for each evaluation on standard output, and on a terminal a bar with the main metrics and the time left.
pub struct Progress {
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Progress {
    /// The progress of a run of `steps` iterations, or of one without end.
    pub fn new(steps: Option<usize>) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { bar: None, silent: false };
        }
        let bar = match steps {
            Some(steps) => ProgressBar::new(steps as u64),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let template = "{wide_bar} {pos}/{len}, {rate}, left {eta}, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, into: &mut dyn Write| {
                let _ = write!(into, "{:.1} steps/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        Progress { bar: Some(bar), silent: false }
    }

    /// A progress that shows nothing.
    pub fn silent() -> Progress {
        Progress { bar: None, silent: true }
    }

    /// Prints a line on standard output.
    ///
    /// # Errors
    /// Those of [`output::line`](crate::output::line).
    pub fn line(&self, text: &str) -> Result<()> {
        match &self.bar {
            _ if self.silent => Ok(()),
            Some(bar) => bar.suspend(|| crate::output::line(text)),
            None => crate::output::line(text),
        }
    }

    /// Moves on by one iteration; `message` has the main metrics.
    pub fn advance(&self, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message());
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
