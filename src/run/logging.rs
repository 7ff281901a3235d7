//! Which measurements a run prints and writes.
use crate::graph::AnyModel;
use crate::names::is_logged_norm;
use crate::nn::ModuleExt;
use crate::probe::{Measurements, Unit};
use crate::train::Taken;

/// Which measurements a run prints, and how it writes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// Whether a line is printed at each evaluation.
    pub lines: bool,
    /// Whether these lines are also printed on a terminal; otherwise the terminal shows a table with few columns, and how the
    /// run ended.
    pub paper: bool,
    /// Whether the probes of weights are printed on a line of their own.
    pub probes_apart: bool,
    /// Whether the norms of attention matrices and of their gradients are printed.
    pub attention_norms: bool,
    /// Whether the norm of each parameter that trains is measured (`norm_NAME`), and the norm of its gradient
    /// (`gradnorm_NAME`).
    pub norms: bool,
    /// Whether the measurements are kept and written to `res.jsonl`; otherwise they are only printed.
    pub records: bool,
    /// The value that is written for a number of a part that the model lacks; `null` if this is `None`.
    pub not_applicable: Option<f64>,
}

impl Default for Logging {
    fn default() -> Self {
        Logging {
            lines: true,
            paper: false,
            probes_apart: false,
            attention_norms: false,
            norms: false,
            records: true,
            not_applicable: None,
        }
    }
}

impl Logging {
    /// The lines of an evaluation; `is_probe` tells the probes of weights from other numbers.
    pub(super) fn lines(
        &self,
        model: &dyn AnyModel,
        step: Taken<'_>,
        record: &Measurements,
        is_probe: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let seconds = [step.times.data, step.times.step, step.times.total].map(|time| time.as_secs_f64());
        let [data, taken, total] = seconds;
        let mut line =
            format!("{} ({data:.2}, {taken:.2}, {total:.2}): loss: {:.4}", step.iteration, step.loss);
        let mut probes = String::new();
        let has = |name: &str| record.entries().iter().any(|entry| entry.name == name);
        let printed = |name: &str| name != "loss" && !is_logged_norm(name, has);
        for entry in record.entries().iter().filter(|entry| printed(&entry.name)) {
            let value = entry.value.number().map_or("-".into(), |v| format!("{v:.4}"));
            let target = if is_probe(&entry.name) { &mut probes } else { &mut line };
            target.push_str(&format!(", {}: {value}", entry.name));
        }
        let mut lines = vec![line];
        if !self.probes_apart {
            lines[0].push_str(&probes);
        } else if !probes.is_empty() {
            lines.push(format!("memory probes: {}", probes.trim_start_matches(", ")));
        }
        if self.attention_norms {
            lines.push(attention_norms(model, step));
        }
        lines
    }
}

/// `norm_NAME` (after the update) and `gradnorm_NAME` of each parameter that trains: [`is_logged_norm`] knows them by being two.
pub(super) fn norms(model: &dyn AnyModel, step: Taken<'_>) -> Measurements {
    let mut record = Measurements::new();
    for (name, param) in model.training() {
        let gradient = step.gradients.iter().find(|(n, _)| *n == name);
        record.insert(format!("norm_{name}"), Unit::Norm, param.norm());
        record.insert(format!("gradnorm_{name}"), Unit::Norm, gradient.map(|(_, g)| g.norm()));
    }
    record
}

/// One line with the norms of attention matrices and of their gradients.
fn attention_norms(model: &dyn AnyModel, step: Taken<'_>) -> String {
    let mut line = String::from("norms:");
    for (name, _, tensor) in model.tensors() {
        let wanted =
            ["wq", "wk", "wv", "wo"].iter().any(|w| name.ends_with(&format!("attention.{w}.weight")));
        if wanted {
            let gradient = step.gradients.iter().find(|(n, _)| *n == name);
            let gradient = gradient.map_or("frozen".into(), |(_, g)| format!("grad {:.4}", g.norm()));
            line.push_str(&format!(" {name} {:.4} ({gradient})", tensor.norm()));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::Batch;
    use crate::model::{Simplified, SimplifiedArgs};
    use crate::train::Times;

    /// Every name with `norm_` in it was left out, also of norms that somebody measures.
    #[test]
    fn a_line_has_all_numbers_but_the_norms_that_a_run_logs() -> crate::Result<()> {
        let model = Simplified::new(5, &SimplifiedArgs { max_length: 4, dim: 8, ..Config::defaults() })?;
        let batch = Batch::new(1, 4);
        let step = Taken {
            iteration: 7,
            batch: &batch,
            loss: 1.5,
            terms: &[],
            gradients: &[],
            times: Times::default(),
            measured: None,
        };
        let mut record = norms(&model, step);
        assert!(record.get("norm_layers.0.attention.wk.weight").is_some());
        for name in ["loss", "norm_bos", "resid_norm_late", "own"] {
            record.insert(name, Unit::Norm, 2.0);
        }
        let lines = Logging::default().lines(&model, step, &record, |_| false);
        assert_eq!(
            lines,
            ["7 (0.00, 0.00, 0.00): loss: 1.5000, norm_bos: 2.0000, resid_norm_late: 2.0000, own: 2.0000"]
        );
        Ok(())
    }
}
