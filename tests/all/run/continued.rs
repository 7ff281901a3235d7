//! A continued run of a program whose code has changed where no setting and no name says so.
use ihead::Module;
use ihead::backend::Dim;
use ihead::graph::{Mask, Model, Pattern, Scores, Stream, Tokens};
use ihead::nn::{Init, ModuleExt, Param};
use ihead::ops::Pointwise;
use ihead::probe::Select;
use ihead::run::{Resume, Run};
use ihead::train::Loss;

use super::batches;

/// What of the program may change.
#[derive(Clone, Copy)]
struct Code {
    power: i32,
    reach: usize,
    early: usize,
    answer: u32,
    frozen: bool,
    seed: u64,
}

const FIRST: Code = Code { power: 2, reach: 3, early: 8, answer: 5, frozen: false, seed: 0 };

struct Power(i32);

impl Pointwise for Power {
    fn name(&self) -> &str {
        "power"
    }

    fn value(&self, x: f64) -> f64 {
        x.powi(self.0)
    }

    fn derivative(&self, x: f64) -> f64 {
        f64::from(self.0) * x.powi(self.0 - 1)
    }
}

#[derive(Module)]
struct Own {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    unembed: Param<(usize, usize)>,
    power: i32,
    reach: usize,
}

impl Model for Own {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        65
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (r, reach) = (x.recorder(), self.reach);
        let h = x.lookup(&r.weight(&self.tok)).pointwise(Power(self.power));
        let near = Mask::rule("near", move |t, j| t - j < reach);
        let seen = Pattern::causal(&h, &h, Scores::new(1)).masked(&near).mix(&h);
        (h + seen).linear(&r.weight(&self.unembed))
    }
}

fn run(code: Code) -> Run<Own> {
    let matrix = || Param::new((65, 6), Init::Normal { std: 0.5 });
    let unembed = if code.frozen { matrix().frozen() } else { matrix() };
    let model = Own { tok: matrix(), unembed, power: code.power, reach: code.reach }.init(code.seed);
    let answer = move |_: &[u32], distribution: &mut [f64]| {
        distribution[code.answer as usize] = 1.0;
        true
    };
    let loss = Loss::next_token().over(Select::by("early", move |_, t| t < code.early));
    Run::new(model, batches()).threads(1).quiet().loss(loss + Loss::against(answer)).earlier(Resume::Auto)
}

#[test]
fn other_code_of_ones_own_is_noticed_where_only_its_values_differ() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run(FIRST).save_to(&path).train(2).unwrap();
    let before = std::fs::read(path.join("checkpoint.safetensors")).unwrap();
    for (code, said) in [
        (Code { power: 3, ..FIRST }, "run.loss: 'next_token' of the first sequences"),
        (Code { reach: 4, ..FIRST }, "run.loss: 'next_token' of the first sequences"),
        (Code { early: 9, ..FIRST }, "run.loss: 'next_token' of the first sequences"),
        (Code { answer: 6, ..FIRST }, "run.loss: 'against' of the first sequences"),
        (Code { frozen: true, ..FIRST }, "run.trains was \"tok, unembed\", is \"tok\""),
    ] {
        let error = run(code).save_to(&path).train(4).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(std::fs::read(path.join("checkpoint.safetensors")).unwrap(), before, "{said}");
    }
    // other initial weights are no other run: those of the checkpoint take their place
    let resumed = run(Code { seed: 1, ..FIRST }).save_to(&path).train(4).unwrap();
    assert_eq!(resumed.records().last(), run(FIRST).train(4).unwrap().records().last());
}
