//! Training on a device by dfdx, with dfdx's optimisers. Built for a GPU and for the tests, which run it on the CPU.
use std::collections::BTreeMap;

use crate::Result;
use crate::backend::{
    AdamConfig, Backward, EngineDevice, Gradients, HasShape, Momentum, Rank0, Scalar, SgdConfig, SumTo,
    Trace, TryMul, WeightDecay,
};
use crate::data::Batch;
use crate::engine::{Engine, RowLists};
use crate::nn::{ParamId, Params, Stored, Values};
use crate::train::optim::{ParamState, Rule};

use super::Resident;
use super::engine::{EagerEngine, refused};
use super::{Matrix, contiguous, scalar};

/// What is remembered of a parameter besides its moments.
#[derive(Clone, Copy)]
enum Memory {
    /// SGD's momentum, in the first moment.
    Momentum,
    /// AdamW's moments, after so many steps.
    Moments(u32),
}

/// An engine whose parameters stay where it computes.
pub(crate) struct OnDevice<E: Scalar, Dev: EngineDevice<E>> {
    engine: EagerEngine<E, Dev>,
    params: Vec<Option<Matrix<E, Dev>>>,
    /// Moments, in the form of gradients: dfdx hands out the storage of nothing else.
    first: Gradients<E, Dev>,
    second: Gradients<E, Dev>,
    memory: BTreeMap<ParamId, Memory>,
    /// Those of the last run, until the update; those of activations are among them.
    gradients: Option<Gradients<E, Dev>>,
}

impl<E: Scalar, Dev: EngineDevice<E>> OnDevice<E, Dev> {
    /// None of the parameters is there yet.
    pub fn new(engine: EagerEngine<E, Dev>) -> Self {
        let none = Gradients::leaky;
        let (params, memory) = (Vec::new(), BTreeMap::new());
        OnDevice { engine, params, first: none(), second: none(), memory, gradients: None }
    }

    fn param(&self, id: ParamId) -> Option<&Matrix<E, Dev>> {
        let (_, weight) = self.engine.trained().iter().find(|(known, _)| *known == id)?;
        self.params.get(weight.index())?.as_ref()
    }
}

impl<E: Scalar + Stored, Dev: EngineDevice<E>> OnDevice<E, Dev> {
    /// Moments with these values for a parameter, beside those of `others`: the gradient of `sum(param * values)`.
    fn moments(
        others: Gradients<E, Dev>,
        param: &Matrix<E, Dev>,
        values: &Values,
    ) -> Result<Gradients<E, Dev>, Dev::Err> {
        let values = values.iter().map(|value| scalar(value)).collect();
        let values: Matrix<E, Dev> = param.device().try_tensor_from_vec(values, *param.shape())?;
        param.clone().traced(others).try_mul(values)?.try_sum::<Rank0, _>()?.try_backward()
    }

    fn kept(&self, from: &Gradients<E, Dev>, param: &Matrix<E, Dev>) -> Values {
        E::pack(contiguous(&from.get(param)))
    }
}

impl<E: Scalar + Stored, Dev: EngineDevice<E>> Resident for OnDevice<E, Dev> {
    fn load(&mut self, params: &Params<'_>, known: &dyn Fn(ParamId) -> Option<ParamState>) -> Result<()> {
        self.params = self.engine.loaded(params)?;
        (self.first, self.second) = (Gradients::leaky(), Gradients::leaky());
        self.memory.clear();
        for id in self.trained() {
            let (Some(state), Some(param)) = (known(id), self.param(id).cloned()) else { continue };
            let moment = |name: &str| state.moments.get(name);
            let put = |moments: &mut Gradients<E, Dev>, values: &Values| {
                let others = std::mem::replace(moments, Gradients::leaky());
                Self::moments(others, &param, values).map(|made| *moments = made).map_err(refused::<Dev>)
            };
            match (moment("momentum"), moment("first"), moment("second")) {
                (Some(momentum), _, _) => {
                    put(&mut self.first, momentum)?;
                    self.memory.insert(id, Memory::Momentum);
                }
                (_, Some(first), Some(second)) => {
                    put(&mut self.first, first)?;
                    put(&mut self.second, second)?;
                    self.memory.insert(id, Memory::Moments(state.steps));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fits(&self, sequences: usize) -> bool {
        self.engine.fits(sequences)
    }

    fn run(&mut self, batch: &Batch, rows: &[RowLists]) -> Result<f64> {
        self.gradients = None;
        let (loss, gradients) = self.engine.whole(&self.params, batch, rows)?;
        // a loss over nothing has left none: they are zeros
        let mut gradients = gradients.unwrap_or_else(Gradients::leaky);
        for (_, weight) in self.engine.trained() {
            if let Some(param) = &self.params[weight.index()] {
                gradients.try_alloc_for(param).map_err(refused::<Dev>)?;
            }
        }
        self.gradients = Some(gradients);
        Ok(loss)
    }

    fn terms(&self) -> &[f64] {
        self.engine.terms()
    }

    fn update(&mut self, rule: &dyn Fn(ParamId) -> Option<Rule>) -> Result<()> {
        let OnDevice { engine, params, first, second, memory, gradients } = self;
        let Some(mut gradients) = gradients.take() else { return Ok(()) };
        for (id, weight) in engine.trained() {
            let (Some(param), Some(rule)) = (params[weight.index()].as_mut(), rule(*id)) else { continue };
            let updated = match rule {
                Rule::Sgd { rate, momentum, decay } => {
                    let config = SgdConfig {
                        lr: rate,
                        momentum: (momentum != 0.0).then_some(Momentum::Classic(momentum)),
                        weight_decay: (decay != 0.0).then_some(WeightDecay::L2(decay)),
                    };
                    if momentum != 0.0 {
                        memory.insert(*id, Memory::Momentum);
                    }
                    let (velocity, gradient) =
                        (first.get_or_alloc_mut(&*param), gradients.get_or_alloc_mut(&*param));
                    velocity.and_then(|velocity| config.try_update(param, velocity, gradient?))
                }
                Rule::AdamW { rate, betas, eps, decay } => {
                    let steps = match memory.get(id) {
                        Some(Memory::Moments(steps)) => steps.saturating_add(1),
                        _ => 1,
                    };
                    memory.insert(*id, Memory::Moments(steps));
                    let config = corrected((rate, betas, eps, decay), steps);
                    let (m, v) = (first.get_or_alloc_mut(&*param), second.get_or_alloc_mut(&*param));
                    let gradient = gradients.get_or_alloc_mut(&*param);
                    m.and_then(|m| config.try_update(FAR, param, m, v?, gradient?))
                }
            };
            updated.map_err(refused::<Dev>)?;
        }
        Ok(())
    }

    fn trained(&self) -> Vec<ParamId> {
        self.engine.trained().iter().map(|(id, _)| *id).collect()
    }

    fn values(&self, param: ParamId) -> Option<Values> {
        self.param(param).map(|param| E::pack(contiguous(param)))
    }

    fn gradient(&self, param: ParamId) -> Option<Values> {
        Some(self.kept(self.gradients.as_ref()?, self.param(param)?))
    }

    fn state(&self, id: ParamId) -> Option<ParamState> {
        let param = self.param(id)?;
        let first = || self.kept(&self.first, param);
        match self.memory.get(&id)? {
            Memory::Momentum => Some(ParamState::new(0, [("momentum", &first())])),
            Memory::Moments(steps) => {
                let second = self.kept(&self.second, param);
                Some(ParamState::new(*steps, [("first", &first()), ("second", &second)]))
            }
        }
    }
}

/// A step so far that dfdx's corrections of the moments are 1.
const FAR: i32 = i32::MAX;

/// AdamW's settings with the corrections of step `steps` in them, in double precision as on the host.
fn corrected((rate, betas, eps, decay): (f64, (f64, f64), f64, f64), steps: u32) -> AdamConfig {
    let count = f64::from(steps);
    let root = (1.0 - betas.1.powf(count)).sqrt();
    // rate / (1 - b1^t) m / (sqrt(v) / root + eps) = lr m / (sqrt(v) + eps root)
    let lr = rate * root / (1.0 - betas.0.powf(count));
    AdamConfig {
        lr,
        betas: [betas.0, betas.1],
        eps: eps * root,
        // the parameter loses lr times this
        weight_decay: (decay != 0.0 && lr != 0.0).then(|| WeightDecay::Decoupled(decay * rate / lr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;
    use crate::config::Config;
    use crate::engine::{Request, RowSet, ignore};
    use crate::graph::record;
    use crate::model::{Simplified, SimplifiedArgs};
    use crate::nn::{Module, ModuleExt, Storage, ValuesMut};
    use crate::train::optim::{AdamW, Groups, Optim, Optimizer, Sgd};

    const SEQ: usize = 6;
    const BATCH: usize = 3;
    type Tiny = Simplified<usize, usize, usize>;

    fn tiny() -> Tiny {
        let sizes = SimplifiedArgs { max_length: SEQ, dim: 4, ..SimplifiedArgs::defaults() };
        let mut model = Simplified::new(9, &sizes).unwrap().init(3);
        model.set_storage(Storage::Double).unwrap();
        model
    }

    fn batch(step: usize) -> Batch {
        let token = |i: usize| ((i * i + 5 * i * step + step) % 9) as u32;
        let (x, y) = ((0..BATCH * SEQ).map(token).collect(), (1..=BATCH * SEQ).map(token).collect());
        Batch { x, y, marks: vec![0; BATCH * SEQ], batch: BATCH, seq: SEQ }
    }

    fn engine(model: &Tiny) -> EagerEngine<f64, Cpu> {
        let (graph, params) = (record(model, SEQ).unwrap(), Params::of(model));
        let request = Request::loss(RowSet::All);
        EagerEngine::new(Cpu::default(), &graph, &request, &|id| params.trains(id)).unwrap()
    }

    /// One step whose update is made on the host.
    fn step(model: &mut Tiny, engine: &mut EagerEngine<f64, Cpu>, optim: &mut Optim, batch: &Batch) -> f64 {
        let loss = engine.run(&Params::of(model), batch, &[], &ignore).unwrap();
        model.visit_mut("", &mut |name, _, tensor| {
            if let Some(gradient) = engine.gradient(tensor.id())
                && let ValuesMut::Double(values) = tensor.data_mut()
            {
                optim.step(name, values, gradient).unwrap();
            }
        });
        loss
    }

    fn close(a: &Values, b: &Values) {
        assert!(
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 1e-12),
            "{a:?} {b:?}"
        );
    }

    /// Trains on the host and in the engine, which takes over what the host remembers after two steps.
    fn check(mut optim: Optim) {
        let mut model = tiny();
        optim.prepare(&model).unwrap();
        let names: BTreeMap<ParamId, String> =
            model.training().into_iter().map(|(name, param)| (param.id(), name)).collect();
        let mut host = engine(&model);
        let mut device = OnDevice::new(engine(&model));
        for from in [0, 2] {
            let (state, params) = (optim.state(), Params::of(&model));
            device.load(&params, &|id| state.get(&names[&id]).cloned()).unwrap();
            for i in from..from + 2 {
                let expected = step(&mut model, &mut host, &mut optim, &batch(i));
                assert!((device.run(&batch(i), &[]).unwrap() - expected).abs() < 1e-12);
                for id in device.trained() {
                    close(
                        &device.gradient(id).unwrap(),
                        &Values::Double(host.gradient(id).unwrap().to_vec()),
                    );
                }
                device.update(&|id| optim.rule(&names[&id])).unwrap();
            }
            let state = optim.state();
            for (id, name) in &names {
                close(&device.values(*id).unwrap(), model.tensor(name).unwrap().data());
                let (found, expected) = (device.state(*id), state.get(name));
                assert_eq!(found.as_ref().map(|s| s.steps), expected.map(|s| s.steps), "{name}");
                for (name, moment) in expected.iter().flat_map(|state| &state.moments) {
                    close(&found.as_ref().unwrap().moments[name], moment);
                }
            }
        }
    }

    #[test]
    fn updates_on_the_device_are_those_of_the_host() {
        let adamw = || Optim::AdamW(AdamW::new(0.02).betas(0.8, 0.97).weight_decay(0.3));
        let sgd = || Sgd::new(0.1).weight_decay(0.05);
        check(adamw());
        check(Optim::Sgd(sgd()));
        check(Optim::Sgd(sgd().momentum(0.9)));
        check(Groups::new(adamw()).group("layers.*", Optim::Sgd(sgd().momentum(0.5))).into());
    }

    #[test]
    fn a_loss_over_nothing_decays_weights() {
        let model = tiny();
        let (graph, params) = (record(&model, SEQ).unwrap(), Params::of(&model));
        let request = Request::loss(RowSet::Set(0));
        let trains = |id| params.trains(id);
        let engine = EagerEngine::<f64, Cpu>::new(Cpu::default(), &graph, &request, &trains).unwrap();
        let mut device = OnDevice::new(engine);
        device.load(&params, &|_| None).unwrap();
        let nothing = [RowLists::select(&batch(0), |_, _| false)];
        assert!(device.run(&batch(0), &nothing).unwrap().is_nan());
        let rule = Rule::AdamW { rate: 0.1, betas: (0.9, 0.95), eps: 1e-8, decay: 0.5 };
        device.update(&|_| Some(rule)).unwrap();
        for (name, param) in model.training() {
            let decayed = param.data().iter().map(|w| 0.95 * w).collect();
            close(&device.values(param.id()).unwrap(), &Values::Double(decayed));
            assert_eq!(device.state(param.id()).unwrap().steps, 1, "{name}");
        }
    }
}
