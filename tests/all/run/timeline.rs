//! What changes during a run: exactly what was said, from exactly then on.
use ihead::graph::{Edit, Edits};
use ihead::nn::ModuleExt;
use ihead::probe::{Matrix, Metric};
use ihead::run::{Earlier, Inspect, Run, Schedule};
use ihead::train::optim::{Groups, Optim, Sgd};
use ihead::train::{Action, Curve, Step, Timeline, WeightEdit};

use super::{Model, model, run, test_batch};

const WK: &str = "layers.1.attention.wk.weight";
const WO: &str = "layers.1.attention.wo.weight";

fn values(model: &Model, name: &str) -> Vec<f32> {
    model.tensor(name).unwrap().values()
}

/// The values of a parameter after each step.
fn course(timeline: Timeline, name: &str, steps: usize) -> Vec<Vec<f32>> {
    let mut seen = Vec::new();
    run()
        .timeline(timeline)
        .optim(Sgd::new(0.1))
        .train_watched(Some(steps), &mut |step: &Step<'_, Model>| {
            seen.push(values(step.model, name));
            Ok(())
        })
        .unwrap();
    seen
}

#[test]
fn a_frozen_parameter_keeps_its_bits_until_it_is_released() {
    let seen =
        course("0: freeze(layers.1.*), 3: release(layers.1.attention.wk.weight)".parse().unwrap(), WK, 5);
    let initial = values(&model(), WK);
    assert!(seen[..3].iter().all(|v| *v == initial));
    assert!(seen[3] != initial && seen[4] != seen[3]);
}

#[test]
fn a_step_size_of_zero_moves_nothing_and_a_curve_is_followed() {
    let seen = course(
        Timeline::default().rate(2..4, Curve::Linear, 0.0, 0.2).at(0, Action::LearningRate(0.0)),
        WO,
        4,
    );
    let initial = values(&model(), WO);
    assert!(seen[..3].iter().all(|v| *v == initial), "zero until iteration 2, the beginning of the line");
    assert!(seen[3] != initial);
}

#[test]
fn weights_are_changed_once_and_can_go_back_to_the_initial_ones() {
    let timeline = Timeline::default()
        .at(0, Action::freeze(WO))
        .at(1, WeightEdit::scale(WO, 2.0))
        .at(2, WeightEdit::rank(WO, 1))
        .at(3, WeightEdit::initial("layers.1.attention.w*"));
    let seen = course(timeline, WO, 4);
    let initial = values(&model(), WO);
    assert_eq!(seen[0], initial);
    assert!(seen[1].iter().zip(&initial).all(|(a, b)| *a == 2.0 * b));
    let cut = Matrix::from_f32(8, 8, &seen[2]).unwrap().singular_values().unwrap();
    assert!(cut[0] > 0.1 && cut[1] < 1e-6, "{cut:?}");
    assert_eq!(seen[3], initial);
}

/// The step after a change follows the momentum from before, unless another optimiser comes with it.
#[test]
fn momentum_stays_through_a_freeze_and_changes_of_weights_and_ends_with_the_optimiser() {
    let sgd = "sgd(learning_rate=0.1, momentum=0.9)";
    let course = |timeline: &str| {
        let mut seen = Vec::new();
        let mut run = run().timeline(timeline.parse().unwrap()).optim(sgd.parse::<Optim>().unwrap());
        let watched = run.train_watched(Some(5), &mut |step: &Step<'_, Model>| {
            seen.push(values(step.model, WO));
            Ok(())
        });
        watched.unwrap();
        seen
    };
    let changes = ["zero(W)", "initial(W)", "rank(W, 1)", "rank_share(W, 0.5)", "scale(W, 2)"];
    let changes = changes.map(|change| (format!("2: {change}").replace('W', WO), 2));
    for (change, at) in [(format!("2: freeze({WO}), 4: release({WO})"), 4)].into_iter().chain(changes) {
        let (goes_on, anew) = (course(&change), course(&format!("{change}, {at}: {sgd}")));
        // the momentum is the last step over the rate: the weights differ by 0.9 of that step
        let apart = |i: usize| (anew[at][i] - goes_on[at][i], 0.9 * (goes_on[0][i] - goes_on[1][i]));
        let apart: Vec<(f32, f32)> = (0..anew[at].len()).map(apart).collect();
        assert!(apart.iter().all(|(found, expected)| (found - expected).abs() < 1e-6), "{change}: {apart:?}");
        assert!(apart.iter().any(|(found, _)| found.abs() > 1e-4), "{change}: {apart:?}");
    }
}

#[test]
fn edits_begin_and_end_with_what_is_measured() {
    let clamp = Edits::default().with("layers.0.attention.pattern", Edit::PreviousToken);
    let timeline = Timeline::default().at(1, clamp.clone()).at(3, Action::unedit("layers.0.*"));
    let mut gradients = Vec::new();
    let mut begun = run().timeline(timeline).every(1).on(&test_batch(), [Metric::loss("test")]);
    let mut models = Vec::new();
    let history = begun
        .train_watched(Some(4), &mut |step: &Step<'_, Model>| {
            let name = "layers.0.attention.wk.weight";
            let found = step.gradients.iter().find(|(n, _)| n == name);
            gradients.push(found.is_some_and(|(_, g)| g.iter().any(|v| v != 0.0)));
            models.push(Inspect::new(step.model).measure([Metric::loss("test")], &test_batch()).unwrap());
            Ok(())
        })
        .unwrap();
    // layer 0's keys act through its pattern alone: nothing reaches them through a clamp
    assert_eq!(gradients, [true, false, false, true]);
    let unedited: Vec<bool> = history
        .column("test")
        .unwrap()
        .iter()
        .zip(&models)
        .map(|((_, edited), plain)| plain.get("test") == Some(*edited))
        .collect();
    assert_eq!(unedited, [true, false, false, true]);
}

#[test]
fn measuring_an_edited_copy_leaves_training_alone() {
    let (all, none) = (WeightEdit::rank_share(WO, 1.0), WeightEdit::zero("layers.*.attention.wo.weight"));
    let loss = |name: &str| [Metric::loss(name)];
    let mut edited = run()
        .every(1)
        .on(&test_batch(), loss("as_it_is"))
        .on_edited([all], &test_batch(), loss("full_rank"))
        .on_edited([none], &test_batch(), loss("without"));
    let history = edited.train(3).unwrap();
    assert_eq!(history.last("as_it_is").unwrap(), history.last("full_rank").unwrap());
    assert!(history.last("as_it_is").unwrap() != history.last("without").unwrap());
    let mut plain = run();
    plain.train(3).unwrap();
    assert_eq!(values(plain.model(), WO), values(edited.model(), WO));
    let mut zeroed = model();
    ihead::nn::Module::visit_mut(&mut zeroed, "", &mut |name, _, tensor| {
        if !name.is_empty() {
            tensor.write(&values(edited.model(), name)).unwrap();
        }
    });
    for layer in 0..2 {
        zeroed.update(&format!("layers.{layer}.attention.wo.weight"), &mut |v| v.fill(0.0)).unwrap();
    }
    let by_hand = ihead::run::measure(&zeroed, loss("l"), &test_batch()).unwrap();
    assert_eq!(by_hand.get("l"), Some(history.last("without").unwrap()));
}

#[test]
fn another_optimiser_begins_anew() {
    let switched = course("2: sgd(learning_rate=0)".parse().unwrap(), WO, 4);
    assert!(switched[0] != switched[1]);
    assert!(switched[1] == switched[2] && switched[2] == switched[3]);
}

#[test]
fn snapshots_hold_the_weights_before_their_step_and_can_be_measured_later() {
    let dir = tempfile::tempdir().unwrap();
    let timeline = Timeline::default().at(Schedule::at([0, 2]), Action::Snapshot);
    let mut first =
        run().timeline(timeline).every(1).on(&test_batch(), [Metric::loss("test")]).save_to(dir.path());
    let history = first.train(3).unwrap();
    let mut stored = model();
    ihead::io::load(&dir.path().join("snapshots/0.safetensors"), &mut stored).unwrap();
    assert_eq!(values(&stored, WO), values(&model(), WO));

    // a probe that the run did not have, beside one that it had
    let mut later = run().on(&test_batch(), [Metric::loss("test"), Metric::accuracy("new")]);
    let found = later.reprobe(dir.path()).unwrap();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0", "2", "final"]);
    let test = history.column("test").unwrap();
    assert_eq!(found[1].1.get("test"), Some(test[1].1), "before step 2 is after step 1");
    assert_eq!(found[2].1.get("test"), Some(test[2].1));
    assert!(found.iter().all(|(_, record)| record.get("new").is_some()));
    let lines = std::fs::read_to_string(dir.path().join("reprobe.jsonl")).unwrap();
    assert!(lines.starts_with(r#"{"weights":"0","test":"#) && lines.lines().count() == 3, "{lines}");

    // a new run in the folder does not leave the snapshots of the old one, which holds the folder as long as it lives
    drop(first);
    run().save_to(dir.path()).earlier(Earlier::Overwrite).train(1).unwrap();
    assert!(!dir.path().join("snapshots/2.safetensors").exists());
    let empty = tempfile::tempdir().unwrap();
    assert!(
        run()
            .reprobe(empty.path())
            .unwrap_err()
            .to_string()
            .contains("expected a run's folder, with final.safetensors or snapshots")
    );
}

#[test]
fn changes_that_no_text_can_say_are_refused_too() {
    let refused =
        |action: Action| run().timeline(Timeline::default().at(0, action)).train(1).unwrap_err().to_string();
    let said = refused(Action::LearningRate(-0.5));
    assert!(said.contains("-0.5; expected a learning rate of at least 0"), "{said}");
    let groups = Groups::new(Sgd::new(0.1).into()).group("output*", Sgd::new(0.2).into());
    let said = refused(Action::optim(groups));
    assert!(said.contains("groups of parameters; expected one optimiser for all"), "{said}");
    let never = Timeline::default().at(Schedule::every(0), Action::freeze(WO));
    let said = run().timeline(never).train(1).unwrap_err().to_string();
    assert!(
        said.starts_with(&format!("timeline 'every 0: freeze({WO})': schedule: every 0 iterations")),
        "{said}"
    );
}

/// It was said that there is a `[` at character 186, of a text of which the first hundred characters were shown.
#[test]
fn a_mistake_far_from_the_beginning_of_a_timeline_is_shown_and_unedit_has_no_heads() {
    let before = "0: freeze(layers.0.attention.*), ".repeat(5);
    let text = format!("{before}20: unedit(layers.1.attention.pattern[0]), 30: snapshot");
    let said = text.parse::<Timeline>().unwrap_err().to_string();
    assert!(said.contains("20: unedit(layers.1.attention.pattern[0]), 30: snapshot'"), "{said}");
    assert!(
        said.contains("expected `)`: unedit ends the edits of all heads of a site, found `[` at character"),
        "{said}"
    );
}

#[test]
fn a_group_follows_the_curve_of_a_timeline_if_it_is_told_to() {
    let begin = model();
    let rates = |groups: Groups| {
        let timeline = Timeline::default().rate(0..2, Curve::Linear, 0.0, 0.25);
        let mut run = run().optim(groups).timeline(timeline).steps(2);
        run.train(1).unwrap(); // at a rate of 0
        run.into_model()
    };
    let new = || Groups::new(Sgd::new(0.5).into());
    let follows = rates(new().following(WK, Sgd::new(0.25).into()));
    assert_eq!((values(&follows, WK), values(&follows, WO)), (values(&begin, WK), values(&begin, WO)));
    let own = rates(new().group(WK, Sgd::new(0.25).into()));
    assert!(values(&own, WK) != values(&begin, WK) && values(&own, WO) == values(&begin, WO));
}

#[test]
fn what_a_timeline_cannot_do_is_said_before_the_first_step() {
    let refused = |text: &str| match text.parse::<Timeline>() {
        Err(error) => error.to_string(),
        Ok(timeline) => {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("run");
            let error = run().timeline(timeline).save_to(&path).train(1).unwrap_err().to_string();
            assert!(!path.exists(), "a folder was made before `{error}`");
            error
        }
    };
    for (text, said) in [
        ("0: freeze(layers.1.attention.wkk.weight)", "did you mean 'layers.1.attention.wk.weight'?"),
        ("0: freze(layers.*)", "no change of a run 'freze'; did you mean 'freeze'?"),
        ("0: unfreeze(layers.*)", "no change of a run 'unfreeze'; did you mean 'release'?"),
        ("0..9: edit(output=ablate)", "linear(FROM, TO), cosine(FROM, TO) or freeze(PATTERN)"),
        ("freeze(layers.*)", "expected WHEN: CHANGE"),
        ("0: freeze()", "expected a name or pattern"),
        ("soon: freeze(layers.*)", "found `soon` at character 1"),
        ("every 0: snapshot", "every 0 iterations"),
        ("0: learning_rate(-1)", "expected a number of at least 0"),
        ("5..5: linear(0, 1)", "an end that is not after its beginning; expected one that is"),
        ("0..9: linear(0, 1), 8..12: cosine(1, 0)", ": at the same time as '0..9: linear(0, 1)'"),
        (
            "3: learning_rate(1), 0..9: linear(0, 1)",
            ": while '0..9: linear(0, 1)' sets the rate of each iteration",
        ),
        ("every 4: learning_rate(1), 5..9: linear(0, 1)", ": while '5..9: linear(0, 1)' sets the rate"),
        ("3: cosine(1, 0)", "expected two iterations"),
        ("0..9: cosin(1, 0)", "did you mean 'cosine'?"),
        ("0: edit(layers.0.attention.patern=previous_token)", "did you mean 'layers.0.attention.pattern'?"),
        ("0: unedit(layers.0.*)", "timeline '0: unedit(layers.0.*)': no edited site 'layers.0.*'"),
        ("0: rank(output.wieght, 2)", "did you mean 'output.weight'?"),
        ("0: rank_share(output.weight, 2)", "2; expected a share from 0 to 1"),
        ("0: rank(output.weight)", "as in rank(layers.1.ff.weight, 4)"),
        ("0: sgd(momentun=1)", "did you mean 'momentum'?"),
        ("0: sgd(x=1)", "expected one of learning_rate, momentum, weight_decay, found `x` at character 8"),
        (
            "0: dance(1)",
            "expected one of freeze, release, learning_rate, edit, unedit, snapshot, sgd, adamw, ",
        ),
        ("0..9: dance(1)", "expected one of linear, cosine, freeze, found `dance` at character 7"),
    ] {
        let error = refused(text);
        assert!(error.contains(said), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let snapshot: Timeline = "0: snapshot".parse().unwrap();
    let error = run().timeline(snapshot).train(1).unwrap_err().to_string();
    assert!(error.contains("snapshots of the timeline: asked for; expected the folder of a run"), "{error}");
    let told = |mut run: Run<Model>| run.train(1).unwrap_err().to_string();
    assert!(told(run().resume()).starts_with("resume: asked for; expected the folder of a run"));
    assert!(told(run().tensorboard()).starts_with("tensorboard: asked for; expected the folder of a run"));
}

#[test]
fn a_timeline_is_the_same_after_writing_and_reading() {
    let text = "0: freeze(layers.*.attention.wk.weight), 0..100: linear(0, 0.03), \
                100..900: cosine(0.03, 0), 300: edit(layers.0.attention.pattern=previous_token), \
                every 50 and powers of 2 and last: snapshot, 400: rank_share(output.weight, 0.5), \
                500: unedit(layers.*), 600: adamw(learning_rate=0.01, beta1=0.9, beta2=0.95, eps=0.00000001, \
                weight_decay=0), 700: zero(output.weight)";
    let timeline: Timeline = text.parse().unwrap();
    assert_eq!(timeline.to_string(), text);
    let json = serde_json::to_string(&timeline).unwrap();
    assert_eq!(serde_json::from_str::<Timeline>(&json).unwrap(), timeline);
}

#[test]
fn freeze_until_of_two_entries_for_one_parameter_trains_from_the_first() {
    let initial = values(&model(), WK);
    let moves = |text: &str, name: &str| {
        let seen = course(Timeline::freeze_until(text).unwrap(), name, 6);
        let before = values(&model(), name);
        let first = seen.iter().position(|values| *values != before);
        assert!(seen[first.unwrap_or(0)..].windows(2).all(|two| two[0] != two[1] || first.is_none()));
        first
    };
    assert!(!initial.is_empty());
    assert_eq!(moves(&format!("0:{WK},3:{WK}"), WK), Some(0));
    assert_eq!(moves(&format!("3:{WK},0:{WK}"), WK), Some(0));
    assert_eq!(moves(&format!("3:{WK},5:{WK}"), WK), Some(3));
    assert_eq!(moves(&format!("2:layers.1.*,4:{WK}"), WK), Some(2));
    assert_eq!(moves(&format!("3:{WK}"), WO), Some(0), "of others nothing is said");
    assert_eq!(moves("1:layers.0.attention.wv", "layers.0.attention.wv.weight"), Some(1), "frozen otherwise");
    assert_eq!(moves(&format!("9:{WK}"), WK), None, "to the end");
}

#[test]
fn a_new_optimiser_has_its_own_rate_from_the_end_of_a_curve_on() {
    let initial = values(&model(), WK);
    let moved =
        |text: &str| course(text.parse().unwrap(), WK, 5).iter().filter(|seen| **seen != initial).count();
    assert_eq!(moved("0..2: linear(0, 0), 2: sgd(learning_rate=0.1)"), 3, "as with `2: learning_rate(0.1)`");
    assert_eq!(moved("0..2: linear(0, 0), 2: learning_rate(0.1)"), 3);
    assert_eq!(moved("0..3: linear(0, 0), 2: sgd(learning_rate=0.1)"), 0, "the curve's last rate stays");
    assert_eq!(moved("0..2: linear(0, 0), 2..4: cosine(0, 0), 2: sgd(learning_rate=0.1)"), 0);
}

#[test]
fn ranges_that_follow_each_other_freeze_without_a_gap() {
    let initial = values(&model(), WK);
    let text = format!("0..2: freeze({WK}), 2..4: freeze({WK})");
    let timeline: Timeline = text.parse().unwrap();
    assert_eq!(timeline.to_string(), text);
    assert_eq!(timeline, Timeline::default().frozen(0..2, WK).frozen(2..4, WK));
    let seen = course(timeline, WK, 5);
    assert!(seen[..4].iter().all(|values| *values == initial) && seen[4] != initial);
}

#[test]
fn changes_that_can_never_happen_are_said_before_the_first_step() {
    let refused = |text: &str, steps| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let timeline: Timeline = text.parse().unwrap();
        let error = run().timeline(timeline).save_to(&path).train(steps).unwrap_err().to_string();
        assert!(!path.exists(), "a folder was made before `{error}`");
        error
    };
    let at = |n: usize| format!("{n}: freeze({WK})");
    for (text, entry, said) in [
        (at(4), at(4), "never happens at 4; expected an iteration below the run's 4 steps"),
        ("1 5: snapshot".into(), "1 5: snapshot".into(), "never happens at 5"),
        ("7..9: linear(0, 1)".into(), "7..9: linear(0, 1)".into(), "never happens at 7"),
        (format!("4..9: freeze({WK})"), format!("4..9: freeze({WK})"), "never happens at 4"),
        (format!("2: release({WK})"), format!("2: release({WK})"), "what it names is not frozen then"),
        (format!("1: release({WK}), {}", at(2)), format!("1: release({WK})"), "is not frozen then"),
        (format!("{}, {}", at(1), at(2)), at(2), "what it names is frozen already"),
        (format!("last: release({WK})"), format!("last: release({WK})"), "is not frozen then"),
        (
            "1: freeze(layers.0.attention.wv)".into(),
            "1: freeze(layers.0.attention.wv)".into(),
            "what it names is frozen already",
        ),
        (
            "1: unedit(layers.0.*), 2: edit(layers.0.attention.pattern=previous_token)".into(),
            "1: unedit(layers.0.*)".into(),
            "what it names is not edited then",
        ),
        ("1: freeze(pe)".into(), "pe".into(), "pe: a buffer, which never trains"),
        (
            "2: rank(output, 8)".into(),
            "2: rank(output, 8)".into(),
            "changes nothing, since what it names has a rank of at most 8; expected a rank of at most 7",
        ),
        (
            "2: rank_share(output, 0.97)".into(),
            "2: rank_share(output, 0.97)".into(),
            "changes nothing, since what it names has a rank of at most 8; expected a share that leaves less",
        ),
        (
            "2: scale(output, 1)".into(),
            "2: scale(output, 1)".into(),
            "changes nothing, since it multiplies by 1",
        ),
        ("1: zero(layers.2.*)".into(), "layers.2.*".into(), "no weight 'layers.2.*'"),
    ] {
        let error = refused(&text, 4);
        assert!(error.contains(said) && error.contains(&entry), "{text}: {error}");
    }
}

#[test]
fn changes_that_happen_some_time_are_fine() {
    for text in [
        "0: freeze(layers.*), 3: release(layers.1.*)".to_string(),
        format!("every 2: freeze({WK}), 1 3: release({WK})"),
        format!("powers of 2: freeze({WK})"), // it is frozen at 0, and later nothing is left to do
        "last: snapshot".into(),
        format!("last: freeze({WK})"),
        format!("0: freeze({WK}), last: release({WK})"),
        "0: edit(layers.0.attention.pattern=previous_token), last: unedit(layers.0.*)".into(),
        "2: rank(output, 7), 3: scale(pe, 2)".into(),
        format!("0..9: freeze({WK})"),
        "2..9: linear(0, 1)".into(),
        "0: edit(layers.0.attention.pattern=previous_token), 2: unedit(layers.0.*)".into(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut fine = run().timeline(text.parse().unwrap()).save_to(dir.path().join("run"));
        assert!(fine.train(4).is_ok(), "{text}");
    }
    let timeline = Timeline::default().at(1_000_000, Action::freeze(WK));
    let mut trainer = ihead::train::Trainer::new(model()).timeline(timeline);
    let stop = &mut |_: &Step<'_, Model>| Err(ihead::Error::usage("enough"));
    let error = trainer.run(super::batches(), None, stop).unwrap_err().to_string();
    assert_eq!(error, "enough", "a run without an end comes to everything");
}

/// Ten thousand iterations of an entry are gone through before a run.
#[test]
fn a_change_behind_ten_thousand_others_is_not_said_to_change_nothing() {
    let check = |text: &str| {
        let timeline: Timeline = text.parse().unwrap();
        timeline.check(&model(), 8, &Default::default(), Some(30_000)).map_err(|error| error.to_string())
    };
    for text in [
        format!("every 1: rank(output, 4), 15000: freeze({WK})"),
        format!("every 1: rank(output, 4), 0: freeze({WK}), 15000: release({WK})"),
        format!("every 1: freeze({WK}), 15000: release({WK})"),
        format!("every 1: release({WK}), 15000: freeze({WK})"),
        "every 1: snapshot, 1: edit(layers.0.resid=scale(2)), 15000: unedit(layers.0.resid)".into(),
    ] {
        assert_eq!(check(&text), Ok(()), "{text}");
    }
    let error =
        check(&format!("every 1: rank(output, 4), 9: freeze({WK}), 15000: freeze({WK})")).unwrap_err();
    assert!(error.contains("'15000: freeze") && error.contains("is frozen already"), "{error}");
    let error = check(&format!("every 1: release({WK})")).unwrap_err();
    assert!(error.contains("is not frozen then"), "{error}");
}

#[test]
fn a_run_that_is_trained_in_pieces_has_one_timeline_for_the_whole() {
    let timeline = || Timeline::default().at(3, Action::freeze(WK));
    let error = run().timeline(timeline()).train(2).unwrap_err().to_string();
    assert!(
        error.contains("an iteration below the run's 2 steps") && error.contains("`Run::steps`"),
        "{error}"
    );
    let mut pieces = run().timeline(timeline()).steps(4);
    pieces.train(2).unwrap();
    let before = values(pieces.model(), WK);
    pieces.train(1).unwrap();
    let frozen = values(pieces.model(), WK);
    pieces.train(1).unwrap();
    assert!(before != frozen && values(pieces.model(), WK) == frozen);
}

#[test]
fn the_last_iteration_of_a_run_in_pieces_is_the_last_of_all_and_more_steps_are_refused() {
    let timeline = || Timeline::default().at(Schedule::never().and_last(), Action::freeze(WK));
    let mut whole = run().timeline(timeline());
    whole.train(4).unwrap();
    let mut pieces = run().timeline(timeline()).steps(4);
    let ends = [2, 1, 1].map(|steps| {
        pieces.train(steps).unwrap();
        values(pieces.model(), WK)
    });
    assert!(ends[0] != ends[1] && ends[1] == ends[2] && ends[2] == values(whole.model(), WK));
    let more = pieces.train(1).unwrap_err().to_string();
    assert_eq!(more, "steps: 5 in all; expected at most 4, as `Run::steps` says");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut short = run().steps(2).save_to(&path);
    let error = short.train(5).unwrap_err().to_string();
    assert_eq!(error, "steps: 5 in all; expected at most 2, as `Run::steps` says");
    let endless = short.train_watched(None, &mut |_: &Step<'_, Model>| Ok(())).unwrap_err().to_string();
    assert_eq!(endless, "steps: until it is stopped; expected at most 2, as `Run::steps` says");
    assert!(!path.exists());
    assert!(short.train(2).is_ok());
}

#[test]
fn a_run_until_it_is_stopped_has_no_last_iteration_for_its_timeline() {
    let endless = |run: Run<Model>| {
        let enough = &mut |_: &Step<'_, Model>| Err(ihead::Error::usage("enough"));
        { run }.train_watched(None, enough).unwrap_err().to_string()
    };
    for text in ["last: snapshot", "powers of 2 and last: snapshot"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let error = endless(run().timeline(text.parse().unwrap()).save_to(&path));
        let said = format!(
            "timeline '{text}': never happens at `last`; expected a number of steps (max_iters), as a run that is \
             trained until it is stopped has no last iteration"
        );
        assert_eq!(error, said);
        assert!(!path.exists());
    }
    // an evaluation at the last iteration is none of its changes
    assert!(endless(run().every(2)).contains("enough"));
}

/// Steps that an error left undone were taken by the next call, and after a call without a number of steps it never ended.
#[test]
fn steps_after_an_error_are_counted_from_where_the_run_ended() {
    let losses = |history: &ihead::run::History| history.column("loss").unwrap();
    let whole = run().every(1).train(6).unwrap();
    for steps in [Some(9), None] {
        let mut broken = run().every(1);
        let mut stop = |step: &Step<'_, Model>| {
            if step.iteration == 2 { Err(ihead::Error::usage("enough")) } else { Ok(()) }
        };
        assert_eq!(broken.train_watched(steps, &mut stop).unwrap_err().to_string(), "enough");
        let iterations = |history: ihead::run::History| history.iterations().collect::<Vec<_>>();
        assert_eq!(iterations(broken.train(2).unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!(losses(&broken.train(1).unwrap()), losses(&whole));
    }
}
