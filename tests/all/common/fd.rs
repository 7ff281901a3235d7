//! Finite differences: the gradients of an engine against changes of its loss.
use ihead::data::Batch;
use ihead::engine::{Engine, ParamSource, RowLists, ignore};
use ihead::nn::{Module, ModuleExt, ParamId};

/// Values of parameters in f64, which differences of 1e-5 need.
pub struct Values {
    params: Vec<(String, ParamId, Vec<f64>)>,
}

impl Values {
    /// The values of a module, each tensor once.
    pub fn of(module: &(impl Module + ?Sized)) -> Values {
        let mut params: Vec<(String, ParamId, Vec<f64>)> = Vec::new();
        for (name, _, tensor) in module.tensors() {
            if params.iter().all(|p| p.1 != tensor.id()) {
                params.push((name, tensor.id(), tensor.values().into_iter().map(f64::from).collect()));
            }
        }
        Values { params }
    }

    fn get(&self, id: ParamId) -> &[f64] {
        let found = self.params.iter().find(|p| p.1 == id);
        found.map(|p| p.2.as_slice()).expect("an engine reads only parameters of its model")
    }
}

impl ParamSource<f64> for Values {
    fn read(&self, param: ParamId, into: &mut [f64]) {
        into.copy_from_slice(self.get(param));
    }
}

impl ParamSource<f32> for Values {
    fn read(&self, param: ParamId, into: &mut [f32]) {
        into.iter_mut().zip(self.get(param)).for_each(|(to, from)| *to = *from as f32);
    }
}

/// At most this many elements of a parameter are changed.
const ELEMENTS: usize = 80;

/// Checks every gradient of `engine` at `values` by central differences of the loss; the names of the parameters for
/// which it has none.
pub fn assert_gradients(
    engine: &mut dyn Engine<f64>,
    values: &mut Values,
    batch: &Batch,
    rows: &[RowLists],
) -> Vec<String> {
    let (step, tolerance) = (1e-5, 1e-7);
    engine.run(values, batch, rows, &ignore).unwrap();
    let of = |p: &(String, ParamId, Vec<f64>)| engine.gradient(p.1).map(<[f64]>::to_vec);
    let gradients: Vec<_> = values.params.iter().map(of).collect();
    let mut without = Vec::new();
    for (p, gradient) in gradients.into_iter().enumerate() {
        let Some(gradient) = gradient else {
            without.push(values.params[p].0.clone());
            continue;
        };
        assert_eq!(gradient.len(), values.params[p].2.len(), "{}", values.params[p].0);
        for i in (0..gradient.len()).step_by(gradient.len().div_ceil(ELEMENTS)) {
            let at = values.params[p].2[i];
            let mut loss_at = |x: f64| {
                values.params[p].2[i] = x;
                engine.run(values, batch, rows, &ignore).unwrap()
            };
            let difference = (loss_at(at + step) - loss_at(at - step)) / (2.0 * step);
            loss_at(at);
            let error = (difference - gradient[i]).abs() / (1.0 + gradient[i].abs());
            let name = &values.params[p].0;
            assert!(error < tolerance, "{name}[{i}]: gradient {}, difference {difference}", gradient[i]);
        }
    }
    without
}
