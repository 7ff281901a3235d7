//! `plot RUN attention` and `plot RUN associations` draw what the functions of the library give for the run's weights, with the
//! names of its tokens.
use std::path::Path;
use std::process::Command;

use ihead::config::parse;
use ihead::io::{self, Array};
use ihead::prelude::*;
use ihead::report::View;
use ihead::run::activations;
use ihead_figure::again::{Again, again};
use ihead_figure::{Figure, Panel, Tokens, association, attention};

#[allow(dead_code)]
#[path = "../../examples/ihead_basic.rs"]
mod ihead_basic;

const SEQ: usize = 12;

/// A run of the paper's program of four steps with two snapshots, in the folder `run`.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let line = format!(
        "data_args.k=3 data_args.seq_length={SEQ} optim_args.batch_size=4 test_batch_size=4 num_data_workers=1 model_args.dim=16 \
         max_iters=4 log=quiet report=true save_dir={}",
        run.display()
    );
    let words = line.split(' ').map(String::from).chain(["timeline=every 2: snapshot".to_string()]);
    let Ok(parsed) = parse::<ihead_basic::Args>(words) else { panic!("settings") };
    ihead_basic::experiment(&parsed.args).unwrap().run().unwrap();
    // it says that it is a run of the program of which this is a test
    let info = std::fs::read_to_string(run.join("run.json")).unwrap();
    let mut info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["command"][0] = "ihead_basic".into();
    std::fs::write(run.join("run.json"), info.to_string()).unwrap();
    dir
}

/// Calls `plot` in a folder and returns the figure that it writes.
fn plot(dir: &Path, args: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_plot"))
        .args(args)
        .arg("out=a.svg")
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "a.svg\n");
    std::fs::read_to_string(dir.join("a.svg")).unwrap()
}

#[track_caller]
fn assert_same(drawn: &str, panels: Vec<Panel>, columns: usize) {
    let figure = Figure::new(panels).columns(columns).width(if columns > 1 { 170.0 } else { 85.0 });
    assert!(drawn == figure.svg().unwrap(), "another figure");
}

#[test]
fn associations_are_those_of_the_paper_or_the_ones_asked_for_with_tokens_by_name() {
    let place = place();
    let run = place.path().join("run");
    let (_, text) = again(&run).unwrap();
    assert_eq!((text.vocab(), text.token(1)), (65, Some(" ")));
    let name = |whole: usize, i: usize| (whole == 65).then(|| text.token(i as u32).unwrap().to_string());
    let map = |title: &str, recall: &Recall, file: &str, most: usize| {
        let weights = io::read(&run.join(file)).unwrap();
        Panel::from(association(title, recall, &weights, most, name).unwrap())
    };
    let files = [
        ("iteration 0", "snapshots/0.safetensors"),
        ("iteration 2", "snapshots/2.safetensors"),
        ("final", "final.safetensors"),
    ];
    let wo: Recall =
        "wo1: tok_embeddings -> layers.1.attention.wv -> layers.1.attention.wo -> output => self"
            .parse()
            .unwrap();
    let wk: Recall =
        "wk0: pe -> layers.0.attention.wq? ~ pe -> layers.0.attention.wk => previous".parse().unwrap();
    let of_paper: Vec<Panel> = [("output of layer 1", &wo), ("keys of layer 0", &wk)]
        .into_iter()
        .flat_map(|(title, recall)| {
            files.map(|(when, file)| map(&format!("{title}, {when}"), recall, file, 32))
        })
        .collect();
    let Panel::Map(first) = &of_paper[0] else { panic!("no map") };
    assert_eq!((first.x_label.as_str(), first.rows[1].0.as_str()), ("target token", "\u{2423}"));
    assert_same(&plot(place.path(), &["run", "associations"]), of_paper, 3);

    let own = vec![map("wk0, iteration 2", &wk, files[1].1, 5)];
    let recall = format!("recalls=[\"{wk}\"]");
    assert_same(&plot(place.path(), &["run", "associations", "snapshots=[2]", "size=5", &recall]), own, 1);
}

/// The panels of some heads; `None` for all sites of layers.
fn panels(pattern: &Array, title: &str, range: std::ops::Range<usize>, tokens: &Tokens) -> Panel {
    attention(title, pattern, 0, 0, range, tokens).unwrap().into()
}

#[test]
fn attention_is_that_of_the_weights_and_sequences_that_are_asked_for() {
    let place = place();
    let run = place.path().join("run");
    let (Again::Basic(mut made), text) = again(&run).unwrap() else { panic!("another program") };
    let mut of = |file: &str, sequence: usize, layer: usize, when: &str, range: std::ops::Range<usize>| {
        io::load(&run.join(file), &mut made.model).unwrap();
        let (x, y, marks) = made.test_batch.sequence(sequence);
        let one =
            ihead::data::Batch { x: x.to_vec(), y: y.to_vec(), marks: marks.to_vec(), batch: 1, seq: SEQ };
        let tokens = Tokens::new(x, marks, |token| text.token(token).unwrap().to_string()).triggers();
        let site = format!("layers.{layer}.attention.pattern");
        let pattern = activations(&made.model, &one, &site).unwrap();
        panels(&pattern, &format!("layer {layer}{when}"), range, &tokens)
    };
    let last = [0, 1].map(|layer| of("final.safetensors", 0, layer, "", 0..SEQ));
    assert_same(&plot(place.path(), &["run", "attention"]), last.into(), 2);

    let asked = vec![
        of("snapshots/2.safetensors", 3, 1, ", iteration 2", 4..9),
        of("snapshots/0.safetensors", 3, 1, ", iteration 0", 4..9),
    ];
    let args =
        ["sequences=[3]", "snapshots=[2, 0]", "sites=[layers.1.*.pattern]", "from=4", "size=5", "heads=[0]"];
    assert_same(&plot(place.path(), &[&["run", "attention"], &args[..]].concat()), asked, 2);
    // two patterns of sites, in this order
    let sites = "sites=[layers.1.attention.pattern,layers.0.*.pattern]";
    let asked = [1, 0].map(|layer| of("final.safetensors", 0, layer, "", 0..SEQ));
    assert_same(&plot(place.path(), &["run", "attention", sites]), asked.into(), 2);
}

/// A run of any other program has kept what is drawn.
#[test]
fn attention_of_another_program_is_that_of_its_view() {
    let place = place();
    let run = place.path().join("run");
    let info = std::fs::read_to_string(run.join("run.json")).unwrap().replace("ihead_basic", "other");
    std::fs::write(run.join("run.json"), info).unwrap();
    let view = View::read(&run).unwrap().unwrap();
    let moments: Vec<Option<usize>> = view.moments().collect();
    assert_eq!(moments, [Some(0), Some(2), None]);
    let batch = view.batch();
    let of = |moment: usize, sequence: usize, layer: usize, when: &str, range| {
        let (x, _, marks) = batch.sequence(sequence);
        let tokens = Tokens::new(x, marks, |token| view.token(token).to_string());
        let site = format!("layers.{layer}.attention.pattern");
        let pattern = view.pattern(moment, sequence, &site).unwrap();
        panels(&pattern, &format!("layer {layer}{when}"), range, &tokens)
    };
    let last = [0, 1].map(|layer| of(2, 0, layer, "", 0..SEQ));
    assert_same(&plot(place.path(), &["run", "attention"]), last.into(), 2);
    let asked = vec![of(1, 3, 0, ", iteration 2", 7..SEQ)];
    let args = ["sequences=[3]", "snapshots=[2]", "sites=[layers.0.attention.pattern]", "from=7"];
    assert_same(&plot(place.path(), &[&["run", "attention"], &args[..]].concat()), asked, 1);
}

/// The tokens of a run of any other program are named as its view names them, where there are as many of them.
#[test]
fn associations_of_another_program_have_the_names_of_its_view() {
    let place = place();
    let run = place.path().join("run");
    let info = std::fs::read_to_string(run.join("run.json")).unwrap().replace("ihead_basic", "other");
    std::fs::write(run.join("run.json"), info).unwrap();
    let view = View::read(&run).unwrap().unwrap();
    assert_eq!((view.vocab(), view.token(1), view.token(64)), (Some(65), " ", "z"));
    let weights = io::read(&run.join("snapshots/2.safetensors")).unwrap();
    let named = |text: &str, most: usize| {
        let recall: Recall = text.parse().unwrap();
        let name = |whole: usize, i: usize| (whole == 65).then(|| view.token(i as u32).to_string());
        let map = association(format!("{}, iteration 2", recall.name()), &recall, &weights, most, name);
        let drawn = plot(
            place.path(),
            &[
                "run",
                "associations",
                "snapshots=[2]",
                &format!("size={most}"),
                &format!("recalls=[\"{text}\"]"),
            ],
        );
        let map = map.unwrap();
        let names = map.rows.len();
        assert_same(&drawn, vec![map.into()], 1);
        names
    };
    assert_eq!(named("reads: tok_embeddings -> output => self", 65), 65);
    assert_eq!(named("keys: pe -> layers.0.attention.wq? ~ pe -> layers.0.attention.wk => previous", 9), 0);
}

/// Two tokens in turn, of three that have names.
struct InTurn;

impl Task for InTurn {
    fn vocab(&self) -> usize {
        3
    }

    fn seq_length(&self) -> usize {
        4
    }

    fn sequence(&self, _: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
        tokens.iter_mut().enumerate().for_each(|(i, token)| *token = i as u32 % 2);
    }

    fn token_name(&self, token: u32) -> String {
        ["zero", "one", "two"][token as usize].into()
    }
}

#[test]
fn a_view_names_all_tokens_of_a_task_and_numbers_those_that_only_the_model_has() {
    let dir = tempfile::tempdir().unwrap();
    let options = BatchOptions { batch_size: 2, seed: 1, workers: 1 };
    let batches = Batches::new(std::sync::Arc::new(InTurn), options).unwrap();
    let sizes = TransformerArgs { layers: 1, dim: 8, max_length: 4, ..TransformerArgs::defaults() };
    let run = Run::new(Transformer::new(5, &sizes).unwrap().init(1), batches);
    run.save_to(dir.path()).report().quiet().train(1).unwrap();
    let view = View::read(dir.path()).unwrap().unwrap();
    assert_eq!(view.vocab(), Some(5));
    assert_eq!([0, 1, 2, 3, 4, 5].map(|token| view.token(token)), ["zero", "one", "two", "#3", "#4", "?"]);
}

/// The paper's program records no evaluation of a task without triggers: there is attention to be drawn, and no curve.
#[test]
fn a_run_without_records_has_attention_alone() {
    let dir = tempfile::tempdir().unwrap();
    for k in [0, 3] {
        let run = dir.path().join(format!("k={k}"));
        let line = format!(
            "data_args.k={k} loss_head_only=False data_args.seq_length={SEQ} optim_args.batch_size=4 num_data_workers=1 \
             model_args.dim=16 max_iters=2 log=quiet figures=true save_dir={}",
            run.display()
        );
        let Ok(parsed) = parse::<ihead_basic::Args>(line.split(' ').map(String::from)) else {
            panic!("settings")
        };
        ihead_basic::experiment(&parsed.args).unwrap().run().unwrap();
        let drawn = ["curves", "attention"].map(|kind| run.join(format!("{kind}.svg")).exists());
        assert_eq!(drawn, [k > 0, true], "k={k}");
    }
}
