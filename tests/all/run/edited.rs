//! Edited sites in a run and in what is measured.
use ihead::config::Config;
use ihead::data::{Batch, NumpyRng, sample};
use ihead::graph::{Edit, Edits};
use ihead::io::Array;
use ihead::model::{Transformer, TransformerArgs};
use ihead::nn::{AnyParam, ModuleExt};
use ihead::probe::Metric;
use ihead::run::{Inspect, activations, at_positions, mean_ablation, measure};
use ihead::train::optim::{AdamW, Optim};
use ihead::train::{Compute, Loss, Precision};

use super::{Model, model, run, task, test_batch};

fn other_batch() -> Batch {
    sample(&task(), &mut NumpyRng::new(&[7]), 8).unwrap()
}

fn loss(inspect: &Inspect<'_>, batch: &Batch) -> f64 {
    inspect.measure([Metric::loss("loss")], batch).unwrap().get("loss").unwrap()
}

fn plain_loss(model: &Model, batch: &Batch) -> f64 {
    measure(model, [Metric::loss("loss")], batch).unwrap().get("loss").unwrap()
}

/// Activations are shown in single precision, so a patch of them is what it stands for up to rounding.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
}

/// Variation 6: layer 1's keys act through its pattern alone; layer 0's also through what layer 0 writes, but not past
/// their own pattern.
#[test]
fn what_acts_only_through_a_clamped_pattern_has_no_gradient_and_keeps_its_bits() {
    for (edits, held) in [
        ("", &[][..]),
        ("layers.0.attention.pattern=previous_token", &[0][..]),
        ("layers.1.attention.pattern=induction", &[1]),
        ("layers.0.attention.pattern=previous_token, layers.1.attention.pattern=induction", &[0, 1]),
        ("layers.0.attention.pattern=uniform, layers.1.attention.pattern=ablate", &[0, 1]),
    ] {
        let edits: Edits = edits.parse().unwrap();
        let before = model();
        let gradients =
            Inspect::new(&before).edits(edits.clone()).gradients(&test_batch(), &Loss::next_token()).unwrap();
        let optim = Optim::AdamW(AdamW::new(0.01).weight_decay(0.1)); // decay would change them
        let mut run = run().optim(optim).edits(edits.clone());
        run.train(5).unwrap();
        for layer in 0..2 {
            let name = format!("layers.{layer}.attention.wk.weight");
            let zero = gradients.of(&name).unwrap().values.iter().all(|g| *g == 0.0);
            let same = before.tensor(&name).unwrap().values() == run.model().tensor(&name).unwrap().values();
            assert_eq!((zero, same), (held.contains(&layer), held.contains(&layer)), "{edits}: {name}");
        }
        let output = |model: &Model| model.tensor("output.weight").map(AnyParam::values).unwrap();
        assert_ne!(output(&before), output(run.model()), "{edits}: the output map trains");
    }
}

#[test]
fn a_run_is_measured_as_it_is_trained() {
    let edits = Edits::default().with("layers.0.attention.out", Edit::Ablate);
    let mut run = run().edits(edits.clone()).on(&test_batch(), [Metric::loss("test")]);
    let history = run.train(3).unwrap();
    assert_eq!(history.last("test").unwrap(), loss(&Inspect::new(run.model()).edits(edits), &test_batch()));
    assert_ne!(history.last("test").unwrap(), plain_loss(run.model(), &test_batch()));
}

#[test]
fn a_run_has_nothing_to_patch_with() {
    let edits = Edits::default().with("layers.0.attention.out", Edit::Patch);
    let error = run().edits(edits).train(1).unwrap_err().to_string();
    assert_eq!(
        error,
        "patch of 'layers.0.attention.out': a run has no other activations to put in; expected `run::Inspect::patch`, which is given them"
    );
}

#[test]
fn a_patch_puts_in_what_another_model_or_input_has() {
    let (own, batch, other) = (model(), test_batch(), other_batch());
    let input = activations(&own, &other, "layers.0.resid").unwrap();
    let patched = Inspect::new(&own).patch("layers.0.resid", input.clone());
    let expected = Batch { y: batch.y.clone(), ..other };
    assert_close(loss(&patched, &batch), plain_loss(&own, &expected));

    // other weights in layer 0 alone: what enters layer 1 is all that they do
    let mut trained = model();
    trained.update("layers.0.attention.wk.weight", &mut |values| values.fill(0.3)).unwrap();
    let stream = activations(&trained, &batch, "layers.1.resid").unwrap();
    assert!((plain_loss(&own, &batch) - plain_loss(&trained, &batch)).abs() > 1e-3);
    let patched = Inspect::new(&own).patch("layers.1.resid", stream);
    assert_close(loss(&patched, &batch), plain_loss(&trained, &batch));

    // a pattern, whole and by heads; one head is all there is
    let pattern = activations(&trained, &batch, "layers.0.attention.pattern").unwrap();
    let site = "layers.0.attention.pattern";
    for patched in [
        Inspect::new(&own).patch(site, pattern.clone()),
        Inspect::new(&own).patch_heads(site, [0], pattern.clone()),
    ] {
        assert_close(loss(&patched, &batch), plain_loss(&trained, &batch));
    }
    // no head is not every head
    assert_eq!(loss(&Inspect::new(&own).patch_heads(site, [], pattern), &batch), plain_loss(&own, &batch));
}

#[test]
fn heads_of_one_site_are_patched_one_after_another() {
    let sizes = TransformerArgs { dim: 8, heads: 2, max_length: 16, ..TransformerArgs::defaults() };
    let (own, batch, other) = (Transformer::new(65, &sizes).unwrap().init(0), test_batch(), other_batch());
    let compute =
        [Precision::Single, Precision::Double].map(|precision| Compute { precision, ..Compute::default() });
    for (site, row) in [("layers.1.attention.v", 8), ("layers.1.attention.pattern", 2 * 16 * 16)] {
        let found = activations(&own, &other, site).unwrap();
        let zeros = Array { values: vec![0.0; found.values.len()], ..found.clone() };
        for compute in compute {
            let patched = Inspect::new(&own).compute(compute).patch_heads(site, [0], zeros.clone());
            let patched = patched.patch_heads(site, [1], found.clone()).activations(&batch, site).unwrap();
            for (patched, other) in patched.values.chunks(row).zip(found.values.chunks(row)) {
                assert!(patched[..row / 2].iter().all(|value| *value == 0.0), "{site}");
                assert_eq!(patched[row / 2..], other[row / 2..], "{site}");
            }
        }
        // heads after a whole site, and a whole site after heads
        let last = |inspect: Inspect<'_>| inspect.activations(&batch, site).unwrap().values;
        let whole = Inspect::new(&own).patch(site, found.clone()).patch_heads(site, [0], zeros.clone());
        let [first, rest] = [0, 1].map(|at| half(&found.values, row, at));
        let got = last(whole);
        assert!(half(&got, row, 0).iter().all(|value| *value == 0.0) && half(&got, row, 1) == rest);
        let got = last(Inspect::new(&own).patch_heads(site, [0], zeros.clone()).patch(site, found.clone()));
        assert!(half(&got, row, 0) == first && half(&got, row, 1) == rest);
    }
    let site = "layers.1.attention.v";
    let found = activations(&own, &other, site).unwrap();
    let fewer = Array { shape: vec![1, 16, 8], values: found.values[..128].to_vec() };
    let two = Inspect::new(&own).patch_heads(site, [0], found.clone()).patch_heads(site, [1], fewer);
    let error = two.activations(&batch, site).unwrap_err().to_string();
    let expected = format!("a second patch of '{site}': expected shape {:?}, found [1, 16, 8]", found.shape);
    assert_eq!(error, expected);
}

/// The first or the second half of each row.
fn half(values: &[f32], row: usize, at: usize) -> Vec<f32> {
    values.chunks(row).flat_map(|row| row.chunks(row.len() / 2).nth(at).unwrap().to_vec()).collect()
}

#[test]
fn a_patch_at_some_positions_is_felt_from_there_on() {
    let (own, batch, other) = (model(), test_batch(), other_batch());
    let site = "layers.0.resid";
    let [here, there] = [&batch, &other].map(|batch| activations(&own, batch, site).unwrap());
    let mixed = at_positions(&here, &there, |_, position| position == 9).unwrap();
    let logits = |inspect: Inspect<'_>| inspect.activations(&batch, "logits").unwrap().values;
    let (plain, patched) = (logits(Inspect::new(&own)), logits(Inspect::new(&own).patch(site, mixed)));
    let rows = plain.chunks(65).zip(patched.chunks(65));
    for (row, (plain, patched)) in rows.enumerate() {
        let (i, t) = (row / 16, row % 16);
        let other_token = batch.sequence(i).0[9] != other.sequence(i).0[9];
        let differ = plain.iter().zip(patched).any(|(a, b)| (a - b).abs() > 1e-5);
        assert_eq!(differ, other_token && t >= 9, "sequence {i}, position {t}");
    }
}

#[test]
fn sizes_without_their_values_are_refused() {
    let (own, batch, site) = (model(), test_batch(), "layers.0.resid");
    let endless = Batch { batch: usize::MAX, ..batch.clone() };
    for error in [
        activations(&own, &endless, site).unwrap_err(),
        mean_ablation(&own, &endless, [site]).unwrap_err(),
        measure(&own, [Metric::loss("loss")], &endless).unwrap_err(),
    ] {
        assert!(
            error.to_string().starts_with("`x` of a batch: expected shape [18446744073709551615, 16]"),
            "{error}"
        );
    }
    let read = activations(&own, &batch, site).unwrap();
    let endless = Array { shape: vec![usize::MAX, 16, read.shape[2]], ..read.clone() };
    let error = Inspect::new(&own).patch(site, endless).measure([Metric::loss("loss")], &batch).unwrap_err();
    assert!(
        error.to_string().contains("values; expected as many as the shape [18446744073709551615, 16"),
        "{error}"
    );
    let empty = Array { values: vec![], ..read.clone() };
    for (own, other) in [(&empty, &read), (&read, &empty)] {
        let error = at_positions(own, other, |_, _| true).unwrap_err().to_string();
        assert!(error.starts_with("values of activations: expected shape [8, 16"), "{error}");
    }
}

#[test]
fn patterns_are_mixed_by_query_in_every_head() {
    // [sequences, heads, queries, keys]
    let array = |value: f32| Array { shape: vec![2, 3, 4, 5], values: vec![value; 120] };
    let mixed =
        at_positions(&array(0.0), &array(1.0), |sequence, query| sequence == 1 && query == 2).unwrap();
    for (place, value) in mixed.values.iter().enumerate() {
        let taken = place / 60 == 1 && place / 5 % 4 == 2;
        assert_eq!(*value, f32::from(u8::from(taken)), "{place}");
    }
}

#[test]
fn mean_ablation_holds_a_stream_at_its_mean() {
    let (own, batch) = (model(), test_batch());
    let edits = mean_ablation(&own, &batch, ["layers.1.attention.out", "layers.0.attention.q"]).unwrap();
    let read_back: Edits = edits.to_string().parse().unwrap();
    assert_eq!(read_back, edits);
    let inspect = Inspect::new(&own).edits(edits);
    let held = inspect.activations(&batch, "layers.1.attention.out").unwrap();
    let free = activations(&own, &batch, "layers.1.attention.out").unwrap();
    for column in 0..8 {
        let values = |values: &[f32]| values.iter().skip(column).step_by(8).copied().collect::<Vec<f32>>();
        let free = values(&free.values);
        let mean = free.iter().map(|x| f64::from(*x)).sum::<f64>() / free.len() as f64;
        assert!(values(&held.values).iter().all(|x| (f64::from(*x) - mean).abs() < 1e-6));
    }
    let refused = |site| mean_ablation(&own, &batch, [site]).unwrap_err().to_string();
    let error = refused("layers.1.attention.pattern");
    assert_eq!(
        error,
        "mean ablation of 'layers.1.attention.pattern': an attention pattern; expected a stream, whose mean is a row"
    );
    assert_eq!(
        refused("layers.1.attention.outt"),
        "no site 'layers.1.attention.outt'; did you mean 'layers.1.attention.out'?"
    );
}

/// The columns of one head are held at their mean, those of the others stay; a pattern of names is every site that it names.
#[test]
fn mean_ablation_of_a_head_leaves_the_others() {
    let args = TransformerArgs { layers: 2, dim: 8, heads: 2, max_length: 16, ..TransformerArgs::defaults() };
    let (own, batch) = (Transformer::new(65, &args).unwrap().init(0), test_batch());
    let edits = mean_ablation(&own, &batch, ["layers.0.attention.mixed[1]"]).unwrap();
    let inspect = Inspect::new(&own).edits(edits);
    let held = inspect.activations(&batch, "layers.0.attention.mixed").unwrap().values;
    let free = activations(&own, &batch, "layers.0.attention.mixed").unwrap().values;
    for (i, (held, free_one)) in held.iter().zip(&free).enumerate() {
        let column = i % 8;
        let mean = || {
            free.iter().skip(column).step_by(8).map(|x| f64::from(*x)).sum::<f64>() / (free.len() / 8) as f64
        };
        let expected = if column < 4 { f64::from(*free_one) } else { mean() };
        assert!((f64::from(*held) - expected).abs() < 1e-6, "column {column}: {held}, expected {expected}");
    }
    let both = mean_ablation(&own, &batch, ["layers.*.attention.mixed[1]"]).unwrap();
    assert_eq!(both.sites().collect::<Vec<_>>(), ["layers.0.attention.mixed", "layers.1.attention.mixed"]);
}

#[test]
fn what_cannot_be_mixed_by_positions_is_refused_with_both_shapes() {
    let array = |shape: &[usize]| Array { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] };
    let refused = |own: &[usize], other: &[usize]| {
        at_positions(&array(own), &array(other), |_, _| true).unwrap_err().to_string()
    };
    let said = refused(&[2, 3, 4], &[2, 3, 5]);
    assert!(said.contains("[2, 3, 4]") && said.contains("[2, 3, 5]"), "{said}");
    let said = refused(&[3, 4], &[3, 4]);
    assert!(said.contains("[3, 4]") && said.contains("[batch, seq, dim]"), "{said}");
}

#[test]
fn a_mean_over_nothing_or_of_no_head_is_refused() {
    let own = model();
    let none = Batch { x: vec![], y: vec![], marks: vec![], batch: 0, ..test_batch() };
    let error = mean_ablation(&own, &none, ["layers.0.attention.out"]).unwrap_err().to_string();
    assert_eq!(error, "batch: no sequences; expected at least one, over which a mean is taken");
    let error = mean_ablation(&own, &test_batch(), ["layers.0.attention.mixed[9]"]).unwrap_err().to_string();
    assert!(error.contains("head 9 of 'layers.0.attention.mixed'"), "{error}");
}
