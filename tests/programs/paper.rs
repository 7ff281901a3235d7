//! The programs from outside: what they write, and that it does not depend on the number of threads.
use std::path::{Path, PathBuf};

use crate::case::{Case, json_lines, tensors};
use crate::npz;
use crate::process::{SMALL, line, program, run};

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(case)
}

/// Repeats a case with its program.
fn repeat(case: &str, more: &[&str]) -> (Case, tempfile::TempDir) {
    let (case, dir) = (Case::open(&golden(case)).unwrap(), tempfile::tempdir().unwrap());
    let mut args = case.command_line(dir.path());
    args.extend(line(more));
    let name = if case.simplified() { "ihead_basic" } else { "ihead_full" };
    let output = run(name, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (case, dir)
}

#[test]
fn all_recorded_cases_pass_the_parity_example() {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(golden("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|dir| dir.join("case.json").exists());
    assert_eq!(cases.len(), 21);
    let output = std::process::Command::new(program("parity")).args(&cases).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    assert!(table.ends_with("21 cases, 0 verdicts failed\n"), "{table}");
}

#[test]
fn parity_fails_on_other_numbers_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(golden("basic_readme")).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
    }
    let trace = std::fs::read_to_string(dir.path().join("trace.json")).unwrap();
    let mut trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
    trace[3]["loss"] = (trace[3]["loss"].as_f64().unwrap() * 1.01).into();
    trace[4]["wk0_acc"] = serde_json::Value::Null;
    trace[5]["wk0_acc"] = 0.987.into();
    trace[6]["wk0_acc"] = 0.987.into();
    std::fs::write(dir.path().join("trace.json"), trace.to_string()).unwrap();
    let output = std::process::Command::new(program("parity")).arg(dir.path()).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{table}");
    let failed: Vec<&str> = table.lines().filter(|line| line.contains("FAILED")).collect();
    assert_eq!(failed.len(), 2, "{table}");
    assert!(failed[0].contains("losses") && failed[0].ends_with("loss, row 3"), "{table}");
    assert!(failed[1].contains("accuracies") && failed[1].ends_with("wk0_acc, row 6"), "{table}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for case in ["basic_mlp_ffn_no_sqrtd", "full_defaults"] {
        let (_, one) = repeat(case, &["threads=1"]);
        for threads in ["threads=2", "threads=3"] {
            let (_, more) = repeat(case, &[threads]);
            for file in ["res.jsonl", "final.safetensors"] {
                let read = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(file)).unwrap();
                assert!(read(&one) == read(&more), "{case}: {file} with {threads}");
            }
        }
    }
}

#[test]
fn an_evaluation_is_a_json_line_with_the_recorded_keys_first_iter() {
    let (case, dir) = repeat("basic_two_workers_eval3", &[]);
    let rows = json_lines(&dir.path().join("res.jsonl")).unwrap();
    let trace = case.trace().unwrap();
    assert_eq!(rows.len(), trace.len());
    for (row, recorded) in rows.iter().zip(&trace) {
        let keys = |row: &serde_json::Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(row)[0], "iter");
        assert!(keys(recorded).iter().all(|key| row.get(key).is_some()), "{row}");
    }
}

#[test]
fn params_json_is_a_configuration_that_repeats_the_run() {
    let (_, dir) = repeat("full_post_norm", &[]);
    let params = dir.path().join("params.json");
    let again = tempfile::tempdir().unwrap();
    let args = [format!("--config={}", params.display()), format!("save_dir={}", again.path().display())];
    let output = run("ihead_full", &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["res.jsonl", "final.safetensors", "exp.npz"] {
        let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
        assert!(read(dir.path()) == read(again.path()), "{file}");
    }
}

#[test]
fn a_run_goes_on_from_the_final_weights_of_another() {
    let (_, first) = repeat("full_1layer_sgd", &[]);
    let last = first.path().join("final.safetensors");
    let case = Case::open(&golden("full_1layer_sgd")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut args = case.command_line(dir.path());
    args.retain(|arg| !arg.starts_with("init_from=") && !arg.starts_with("max_iters="));
    args.extend([format!("init_from={}", last.display()), "max_iters=0".into()]);
    let output = run("ihead_full", &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // without a step the weights are those that it began with
    assert_eq!(std::fs::read(last).unwrap(), std::fs::read(dir.path().join("final.safetensors")).unwrap());
}

#[test]
fn exp_npz_holds_activations_of_the_final_weights_for_numpy() {
    let (_, dir) = repeat("full_no_counter", &[]);
    let arrays = npz::read(&dir.path().join("exp.npz"));
    let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
    assert_eq!(names, ["out", "preds", "scores_0", "scores_1", "x"]);
    let (preds_shape, preds) = (&arrays["preds"].shape, arrays["preds"].f32s());
    let [128, seq, 65] = preds_shape[..] else { panic!("preds {preds_shape:?}") };
    assert!(preds.iter().all(|v| v.is_finite()));
    for name in ["scores_0", "scores_1"] {
        let (shape, scores) = (&arrays[name].shape, arrays[name].f32s());
        let [128, _, queries, keys] = shape[..] else { panic!("{name} {shape:?}") };
        assert_eq!((queries, keys), (seq, seq));
        for (row, weights) in scores.chunks(seq).enumerate() {
            // causal, and a distribution over the keys
            assert!(weights[row % seq + 1..].iter().all(|w| *w == 0.0), "{name}");
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{name}");
        }
    }
    let (x, out) = (arrays["x"].i64s(), arrays["out"].i64s());
    // as in the paper's file, `out` has a column for the token behind the last position, which is never an output
    assert_eq!((&arrays["x"].shape, &arrays["out"].shape), (&vec![128, seq], &vec![128, seq + 1]));
    assert!(out.chunks(seq + 1).all(|row| row[seq] == 0));
    assert!(x.iter().all(|t| (0..65).contains(t)) && out.contains(&1));
    // the first sequences are those of the recorded test batch: both are the first of default_rng(0)
    let recorded = tensors(&golden("full_no_counter").join("batches.safetensors")).unwrap();
    let test: Vec<i64> = recorded["x_test"].values.iter().map(|v| *v as i64).collect();
    assert_eq!(x[..test.len()], test);
}

#[test]
fn without_a_folder_nothing_is_written_and_each_evaluation_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["max_iters=4", "eval_delta=2", "data_args.k=5", "optim_args.batch_size=4", "test_batch_size=4"];
    let mut command = std::process::Command::new(program("ihead_basic"));
    let output =
        command.args(args).args(["log_probes=True", "log_norms=True"]).current_dir(dir.path()).output();
    let output = output.unwrap();
    assert!(output.status.success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let starts: Vec<&str> = stdout.lines().filter_map(|line| line.split([' ', ':']).next()).collect();
    assert_eq!(starts, ["0", "memory", "norms", "2", "memory", "norms"], "{stdout}");
}

#[test]
fn variations_run_from_their_settings_and_end_in_a_table() {
    for (name, args, heading) in [
        ("v1_freezing_order", &["steps=2", "release=1"][..], "frozen "),
        ("v2_attention_sinks", &["steps=2"][..], "layer "),
        ("v3_noise_and_rank", &["steps=2"][..], "share of rank "),
        ("v4_markov_chains", &["steps=2"][..], "step "),
        ("v5_latent_graph", &["steps=2", "length=8"][..], "iter "),
        ("v6_clamped_circuits", &["steps=2"][..], "clamped "),
        ("v7_theory", &["size=6", "sequences=50", "dims=[4]"][..], "embeddings "),
        ("v8_what_slows_learning", &["steps=2"][..], "k "),
        ("v9_smeared_keys", &["steps=2", "seeds=1"][..], "layers "),
        ("v10_context_against_weights", &["steps=2", "seeds=1"][..], "Zipf "),
        ("v11_llama_block", &["steps=2", "seeds=2"][..], "block "),
        ("v12_graft", &["steps=2", "seeds=1"][..], "grafted "),
        ("v13_disentangled", &["steps=2", "seeds=1"][..], "mean and standard error"),
        ("v14_own_operation", &["steps=2", "seeds=1"][..], "hidden units "),
        ("own_positions", &["steps=2"][..], "positions "),
        ("own_patching", &["steps=2"][..], "head "),
        ("own_optimiser", &["steps=2", "seeds=1"][..], "optimiser "),
    ] {
        let output = run(name, &line(args));
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        assert!(stdout.lines().any(|line| line.trim_start().starts_with(heading)), "{name}: {stdout}");
        let key = args[0].split('=').next().unwrap();
        let wrong = run(name, &line(&[&format!("{key}x=2")]));
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        assert!(String::from_utf8_lossy(&wrong.stderr).contains(&format!("'{key}'")), "{name}");
    }
}

#[test]
fn too_many_sequences_of_the_theory_are_refused_by_their_setting() {
    let output = run("v7_theory", &line(&["sequences=1e9", "size=64"]));
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "error: sequences: 1000000000; expected at most 4194304 of size=64\n");
}

#[test]
fn a_timeline_on_the_command_line_and_the_stored_weights_measured_again() {
    let small =
        ["max_iters=4", "eval_delta=2", "data_args.k=5", "optim_args.batch_size=4", "test_batch_size=4"];
    for program in ["ihead_basic", "ihead_full"] {
        let dir = tempfile::tempdir().unwrap();
        let save = format!("save_dir={}", dir.path().display());
        let timeline = "timeline=0: freeze(output.weight), every 2: snapshot, 1..3: linear(0.1, 0)";
        let mut args = line(&small);
        args.extend([save, timeline.into()]);
        let output = run(program, &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let params = json_lines(&dir.path().join("res.jsonl")).unwrap();
        let recorded = std::fs::read_to_string(dir.path().join("params.json")).unwrap();
        assert!(recorded.contains("every 2: snapshot"), "{recorded}");

        let mut again = line(&small);
        again.extend([format!("reprobe={}", dir.path().display()), "report=true".into()]);
        let output = run(program, &again);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8(output.stdout).unwrap();
        let first: Vec<&str> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(first, ["weights", "0", "2", "final"], "{table}");
        let view = std::fs::read_to_string(dir.path().join("view.json")).unwrap();
        let view: serde_json::Value = serde_json::from_str(&view).unwrap();
        assert_eq!(view["moments"].as_array().unwrap().len(), 3);
        assert!(dir.path().join("report.html").is_file());
        let rows = json_lines(&dir.path().join("reprobe.jsonl")).unwrap();
        // iteration 1 is not evaluated, but iteration 2's training batch is not the first: compare the keys
        let keys = |row: &serde_json::Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert!(keys(&rows[0])[1..].iter().all(|key| params[0].get(key).is_some()), "{}", rows[0]);
        // what the model lacks is the same number in both
        let lacking = |row: &serde_json::Value| -> Vec<String> {
            keys(row).into_iter().filter(|key| row[key] == serde_json::json!(-1.0)).collect()
        };
        assert_eq!(lacking(&rows[0]), lacking(&params[0]), "{program}");
    }
}

#[test]
fn a_timeline_that_does_not_fit_is_refused_with_the_nearest_name() {
    for (timeline, said) in [
        ("0: freze(output.weight)", "did you mean 'freeze'?"),
        ("0: freeze(ouput.weight)", "did you mean 'output.weight'?"),
        ("0: snapshot", "snapshots of the timeline: asked for; expected the folder of a run"),
    ] {
        let output = run(
            "ihead_basic",
            &line(&["max_iters=1", "loss_head_only=False", &format!("timeline={timeline}")]),
        );
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(said), "{timeline}: {error}");
    }
}

#[test]
fn a_run_in_which_nothing_trains_says_so_once() {
    let timeline = "timeline=2: freeze(*), 4: snapshot, 5: edit(embed.tokens=ablate)";
    let dir = tempfile::tempdir().unwrap();
    let save = format!("save_dir={}", dir.path().join("run").display());
    let output = run("ihead_basic", &line(&[&SMALL[..], &["max_iters=7", timeline, &save]].concat()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "warning: nothing trains from iteration 2 on\n");
}
