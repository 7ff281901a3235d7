//! Figures: what is on them, that they are the same bytes again, and what is refused.
use std::path::PathBuf;
use std::process::{Command, Output};

use ihead::io::Array;
use ihead::probe::Matrix;
use ihead_figure::runs::{Band, Chart, PAPER, Table, chart, spans};
use ihead_figure::{Curves, Figure, Map, Mark, Panel, Series, Span, Tokens, association, attention};

/// A table of three seeds at two learning rates.
fn table() -> Table {
    let mut text = String::from("run,status,lr,seed,iter,loss,acc_end\n");
    for lr in [0.1, 0.01] {
        for seed in [1, 2, 3] {
            for iter in 0..4 {
                let loss = 4.0 - lr * f64::from(iter * seed);
                text += &format!("r{lr}{seed},done,{lr},{seed},{iter},{loss},{}\n", 0.1 * f64::from(iter));
            }
        }
    }
    Table::read("a table", &text).unwrap()
}

fn lines(figure: &Figure) -> Vec<&Curves> {
    let panels = figure.panels.iter().map(|panel| match panel {
        Panel::Curves(curves) => curves,
        Panel::Map(_) => panic!("a map among curves"),
    });
    panels.collect()
}

#[test]
fn a_seed_becomes_a_band_and_a_setting_a_line() {
    let options = Chart { y: vec!["loss".into(), "acc_end".into()], ..Chart::default() };
    let figure = chart(&table(), &options).unwrap();
    let panels = lines(&figure);
    assert_eq!(panels.len(), 2);
    assert_eq!((panels[0].x_label.as_str(), panels[0].y_label.as_str()), ("iteration", "loss (nats)"));
    assert_eq!(panels[1].y_range, Some((0.0, 1.0)));
    let names: Vec<&str> = panels[0].series.iter().map(|series| series.label.as_str()).collect();
    assert_eq!(names, ["lr = 0.01", "lr = 0.1"]); // by size
    let line = &panels[0].series[1];
    assert_eq!(line.points.len(), 4);
    assert!((line.points[3].1 - 3.4).abs() < 1e-12); // the mean over seeds: 4 - 0.1 * 3 * 2
    let end = line.band[3];
    assert!((end.low - 3.1).abs() < 1e-12 && (end.high - 3.7).abs() < 1e-12);

    // one standard error: the deviation of 3.1, 3.4, 3.7 is 0.3
    let figure = chart(&table(), &Chart { band: Band::Error, ..options }).unwrap();
    let end = lines(&figure)[0].series[1].band[3];
    assert!((end.high - 3.4 - 0.3 / 3f64.sqrt()).abs() < 1e-12);
}

#[test]
fn a_setting_can_be_the_axis_or_a_panel() {
    let options = Chart { x: Some("lr".into()), y: vec!["loss".into()], log_x: true, ..Chart::default() };
    let figure = chart(&table(), &options).unwrap();
    assert_eq!(lines(&figure)[0].series[0].points.iter().map(|p| p.0).collect::<Vec<_>>(), [0.01, 0.1]);

    let options = Chart { y: vec!["loss".into()], panels: vec!["lr".into()], ..Chart::default() };
    let figure = chart(&table(), &options).unwrap();
    let titles: Vec<&str> = lines(&figure).iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!((figure.columns, titles), (2, vec!["lr = 0.01", "lr = 0.1"]));

    // the step size goes with the optimiser: what a panel has one value of is not in the names of its lines
    let text = "opt,lr,iter,loss,acc_end\nsgd,0.1,0,1,0\nadamw,0.003,0,2,0\n";
    let options = Chart { panels: vec!["opt".into()], y: vec!["loss,acc_end".into()], ..Chart::default() };
    let figure = chart(&Table::read("a table", text).unwrap(), &options).unwrap();
    for panel in lines(&figure) {
        assert_eq!(panel.series.iter().map(|s| s.label.as_str()).collect::<Vec<_>>(), ["loss", "acc_end"]);
    }

    let error =
        chart(&table(), &Chart { y: vec!["los".into()], ..Chart::default() }).unwrap_err().to_string();
    assert_eq!(error, "y: no measured number 'los'; did you mean 'loss'?");
    assert!(chart(&table(), &Chart { panels: vec!["lrr".into()], ..Chart::default() }).is_err());
    let error =
        chart(&table(), &Chart { x: Some("status".into()), ..Chart::default() }).unwrap_err().to_string();
    assert_eq!(error, "x: status, where no run has a number; expected a column of numbers");
    // a run of no steps
    let none = Table::read("a table", "run,status,iter\nzero,done,\n").unwrap();
    let error = chart(&none, &Chart::default()).unwrap_err().to_string();
    assert_eq!(error, "no run has recorded an evaluation, so there is nothing to draw");
}

/// A table was drawn as if all its runs had come to their end.
#[test]
fn runs_of_a_table_that_did_not_reach_their_end_are_named() {
    let of_runs = "run,status,lr,iter,loss\na,done,1,0,2\na,done,1,9,1\nb,diverged,10,0,2\nb,diverged,10,9,5\nc,,2,0,1\n";
    assert_eq!(Table::read("runs", of_runs).unwrap().incomplete, ["b: diverged"]);
    let of_means = "optim_args.lr,runs,missing,iter,loss,loss n\n1,2,0,9,1,2\n10,1,2,9,5,1\n";
    assert_eq!(Table::read("means", of_means).unwrap().incomplete, ["lr = 10: 2 of 3 runs missing"]);
    let other = Table::read("another table", "lr,iter,loss\n1,0,2\n").unwrap();
    assert!(other.incomplete.is_empty());
}

#[test]
fn several_numbers_of_a_panel_are_its_lines_and_settings_its_neighbours() {
    let options = Chart { y: vec!["loss,acc_end".into()], ..Chart::default() };
    let figure = chart(&table(), &options).unwrap();
    let titles: Vec<&str> = lines(&figure).iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["lr = 0.01", "lr = 0.1"]);

    let text = "run,status,iter,loss,loss_test,kl_uniform,kl_bigram,acc_end,acc_test,wo1_acc,wk1_acc\nr,done,0,1,1,1,1,0,0,0,0\n";
    let table = Table::read("a table", text).unwrap();
    for (numbers, label) in [
        ("loss,loss_test", "loss (nats)"),
        ("kl_uniform,kl_bigram", "nats"), // a divergence is no loss
        ("wo1_acc,wk1_acc", "recall (share)"),
        ("acc_end,acc_test", "accuracy (share)"),
        ("acc_end,wo1_acc", "accuracy (share)"),
        ("acc_end", "acc_end (share)"),
        ("loss,acc_end", ""),
    ] {
        let figure = chart(&table, &Chart { y: vec![numbers.into()], ..Chart::default() }).unwrap();
        assert_eq!(lines(&figure)[0].y_label, label, "{numbers}");
    }
}

#[test]
fn what_changed_on_the_way_is_shown_where_it_was_the_same_in_all_runs() {
    let mut table = table();
    let dirs = ["r0.11", "r0.12", "r0.13", "r0.011", "r0.012", "r0.013"];
    table.spans = dirs.map(|dir| (dir.to_string(), spans("0..100: freeze(pe)"))).into();
    let shown = |table: &Table| {
        let options = Chart { y: vec!["loss".into()], panels: vec!["lr".into()], ..Chart::default() };
        let figure = chart(table, &options).unwrap();
        lines(&figure).iter().map(|panel| panel.spans.len()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&table), [1, 1]);
    table.spans.insert("r0.12".into(), spans("0..200: freeze(pe)"));
    assert_eq!(shown(&table), [1, 0]);
    table.spans.remove("r0.011");
    assert_eq!(shown(&table), [0, 0]);
}

#[test]
fn an_association_is_named_by_its_tokens_or_numbered_by_its_positions() {
    use ihead::config::Config;
    use ihead::model::{Simplified, SimplifiedArgs};

    let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(10, &sizes).unwrap().init(0);
    let recall = ihead::recall!("reads: tok_embeddings -> output => self");
    let named = |whole: usize, i: usize| (whole == 10).then(|| format!("t{i}"));
    let map = association("reads", &recall, &model, 3, named).unwrap();
    assert_eq!((map.x_label.as_str(), map.y_label.as_str()), ("target token", "input token"));
    assert_eq!(map.rows.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["t0", "t1", "t2"]);
    assert_eq!(map.values.row(2), &recall.scores(&model).unwrap().row(2)[..3]);
    let map = association("reads", &recall, &model, 3, |_, _| None).unwrap();
    assert_eq!((map.x_label.as_str(), map.y_label.as_str()), ("target", "input"));
    let recall =
        ihead::recall!("keys: pe -> layers.0.attention.wq? ~ pe -> layers.0.attention.wk => previous");
    let map = association("keys", &recall, &model, 3, |_, _| None).unwrap();
    assert_eq!((map.x_label.as_str(), map.y_label.as_str()), ("target position", "input position"));
    assert!(map.rows.is_empty() && map.columns.is_empty());
}

#[test]
fn means_of_collect_keep_their_intervals() {
    let text = "lr,runs,missing,iter,loss,loss n,loss se,loss low,loss high\n0.1,3,0,9,2.0,3,0.1,1.5,2.5\n";
    let figure =
        chart(&Table::read("means", text).unwrap(), &Chart { x: Some("lr".into()), ..Chart::default() })
            .unwrap();
    let line = &lines(&figure)[0].series[0];
    assert_eq!((line.points[0], line.band[0].low, line.band[0].high), ((0.1, 2.0), 1.5, 2.5));
    let rows = "{\"lr\":0.1,\"iter\":9,\"loss\":2.0}\n{\"lr\":0.2,\"iter\":9,\"loss\":1.0}\n";
    assert_eq!(Table::read("rows", rows).unwrap().frame.rows.len(), 2);
    assert!(Table::read("empty", "lr,iter\n").unwrap_err().to_string().contains("without rows"));
}

#[test]
fn a_timeline_says_what_was_frozen_when() {
    let text = "0..100: freeze(layers.1.attention.wk.weight), 0: freeze(layers.0.*), 300: release(layers.0.*), \
                50: rank(layers.1.ff, 4), every 10: snapshot, 70: freeze(pe)";
    let found: Vec<(f64, Option<f64>, String)> =
        spans(text).into_iter().map(|s| (s.from, s.to, s.label)).collect();
    let expected = [
        (0.0, Some(100.0), "layer 1.wk frozen"),
        (0.0, Some(300.0), "layer 0.* frozen"),
        (50.0, Some(50.0), "rank(layers.1.ff, 4)"),
        (70.0, None, "pe frozen"),
    ];
    assert_eq!(found, expected.map(|(from, to, label)| (from, to, label.to_string())));
}

/// A figure with all that can be on one.
fn everything() -> Figure {
    let mut curves = Curves::new("iteration", "loss (nats)");
    curves.spans = vec![Span { from: 0.0, to: Some(5.0), label: "layer 1.wk frozen".into() }];
    let mut line = Series::new(
        "a line",
        (0..12).map(|i| (f64::from(i), if i == 6 { f64::NAN } else { f64::from(i * i) })),
    );
    line.band = vec![
        ihead_figure::Spread { x: 0.0, low: 0.0, high: 1.0 },
        ihead_figure::Spread { x: 9.0, low: 70.0, high: 90.0 },
    ];
    let pattern =
        Array { shape: vec![1, 1, 3, 3], values: vec![1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.2, 0.3, f32::NAN] };
    let tokens = Tokens::new(&[0, 1, 2], &[0, 1, 0], |token| ["a", " ", "\n"][token as usize].into());
    let map = attention("layer 0", &pattern, 0, 0, 0..3, &tokens).unwrap();
    Figure::new([curves.with(line).into(), map.into()])
}

#[test]
fn the_same_data_give_the_same_bytes_with_text_as_outlines() {
    let (svg, png) = (everything().svg().unwrap(), everything().png(150.0).unwrap());
    assert_eq!((everything().svg().unwrap(), everything().png(150.0).unwrap()), (svg.clone(), png.clone()));
    assert!(svg.starts_with("<svg width=\"85mm\" height=\"") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("<text") && !svg.contains("font-family"));
    // 85 mm at 150 dots an inch, in the header of a PNG
    assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), 502);
    let mut other = everything();
    if let Panel::Curves(curves) = &mut other.panels[0] {
        curves.series[0].points[3].1 = 30.0;
    }
    assert_ne!(other.svg().unwrap(), svg);
}

#[test]
fn tokens_can_be_seen_and_carry_their_marks() {
    let tokens = Tokens::new(&[0, 1, 2], &[0, 1, 0], |token| ["a", " ", "\n"][token as usize].into());
    assert_eq!(tokens.texts, ["a", "\u{2423}", "\u{21b5}"]);
    assert_eq!(tokens.marks, [Mark::None, Mark::Marked, Mark::After]);
    let pattern = Array { shape: vec![1, 1, 3, 3], values: vec![0.0; 9] };
    let refused = |sequence, head, positions| {
        attention("", &pattern, sequence, head, positions, &tokens).unwrap_err().to_string()
    };
    assert_eq!(refused(1, 0, 0..3), "sequence 1 of an attention pattern, which has one sequence, 0");
    assert_eq!(refused(0, 2, 0..3), "head 2 of an attention pattern, which has one head, 0");
    assert!(refused(0, 0, 2..4).starts_with("position 3"));
    assert!(refused(0, 0, 2..2).contains("positions: none; expected a range"));
}

#[test]
fn odd_figures_are_drawn_or_refused_in_a_line() {
    assert!(Figure::new([]).svg().unwrap_err().to_string().contains("panels: 0; expected at least one"));
    let empty = || Panel::from(Curves::new("", ""));
    assert!(Figure::new([empty()]).svg().is_ok());
    for width in [0.0, -1.0, f64::NAN, 1e9, 1.0] {
        assert!(Figure::new([empty()]).width(width).svg().is_err(), "{width}");
    }
    assert!(Figure::new([empty()]).png(1e9).is_err());
    let log = Curves { log_x: true, log_y: true, ..Curves::new("x", "y") };
    let line = Series::new("", [(-1.0, 1.0), (0.0, 0.0), (f64::INFINITY, 2.0), (10.0, 3.0)]);
    assert!(Figure::new([log.with(line).into()]).svg().is_ok());
    let nothing = Map { values: Matrix::new(0, 0, vec![]).unwrap(), ..map() };
    assert!(Figure::new([nothing.into()]).svg().is_ok());
    let dir = tempfile::tempdir().unwrap();
    let error = Figure::new([map().into()]).save(&dir.path().join("a.pdf")).unwrap_err().to_string();
    assert!(error.ends_with("a figure is written as .svg or .png"), "{error}");
}

fn map() -> Map {
    Map {
        title: String::new(),
        x_label: "x".into(),
        y_label: "y".into(),
        z_label: String::new(),
        values: Matrix::new(2, 2, vec![f64::NAN, f64::INFINITY, 1.0, 1.0]).unwrap(),
        z_range: None,
        columns: vec![],
        rows: vec![],
        first: 0,
        causal: false,
    }
}

fn plot(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plot")).args(args).output().unwrap()
}

/// The folder of a run with the paper's numbers.
fn run(dir: &std::path::Path, seed: u64) -> PathBuf {
    let run = dir.join(format!("seed={seed}"));
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("params.json"), format!("{{\"seed\": {seed}}}")).unwrap();
    let record = |i: usize| {
        let acc = i as f64 / 10.0;
        format!(
            "{{\"iter\": {i}, \"loss\": 1.0, \"acc_end\": {acc}, \"acc_end_test\": {acc}, \"wo1_acc\": {acc}, \"wk1_acc\": 1, \"wk0_64_acc\": -1}}\n"
        )
    };
    std::fs::write(run.join("res.jsonl"), (0..9).map(record).collect::<String>()).unwrap();
    run
}

#[test]
fn the_program_draws_runs_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let runs = [run(dir.path(), 1), run(dir.path(), 2)];
    let whole = dir.path().display().to_string();
    let out = dir.path().join("a.svg");
    let out_is = format!("out={}", out.display());
    let done = plot(&[&whole, "paper", &out_is]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), out.display().to_string());
    let first = std::fs::read(&out).unwrap();
    assert!(
        plot(&[&runs[0].display().to_string(), &runs[1].display().to_string(), &out_is]).status.success()
    );
    assert_eq!(std::fs::read(&out).unwrap(), first); // the paper's panels are what such runs are drawn as

    let error = |args: &[&str]| {
        let done = plot(args);
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        let text = String::from_utf8(done.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    assert!(error(&[]).contains("no run is given"));
    assert!(error(&[&whole, "y=[acc_ent]"]).contains("did you mean 'acc_end'"));
    assert!(error(&[&whole, "out=a.pdf"]).contains(".svg or .png"));
    assert!(error(&[&whole, "attention"]).contains("run.json"));
    assert!(error(&[&whole, "paper", "table"]).contains("2 kinds are given"));
    assert!(error(&["no/such/folder"]).contains("no/such/folder"));
    assert_eq!(PAPER.len(), 2);
}
