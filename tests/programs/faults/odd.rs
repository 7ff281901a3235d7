//! Odd things that users and machines do: each is one line that says what is wrong, and nothing is touched.
use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{Place, error_of, said};

const END: [&str; 1] = ["max_iters=4"];

#[test]
fn settings_that_cannot_be_are_one_line() {
    let place = Place::new();
    for (setting, expected) in [
        (
            "max_iters=99999999999999999999",
            "max_iters: expected an integer of at least 0 or null, found '99999999999999999999'",
        ),
        ("max_iters=-1", "max_iters: expected an integer of at least 0 or null, found '-1'"),
        ("max_iters=1.5", "max_iters: expected an integer"),
        (
            "optim_args.learning_rate=nan",
            "optim_args.learning_rate: expected a number of at least 0, found 'nan'",
        ),
        (
            "optim_args.learning_rate=inf",
            "optim_args.learning_rate: expected a number of at least 0, found 'inf'",
        ),
        ("optim_args.learning_rate=1e309", "optim_args.learning_rate: expected a number of at least 0"),
        ("optim_args.learning_rate=-0.1", "optim_args.learning_rate: expected a number of at least 0"),
        ("optim_args.batch_size=0", "optim_args.batch_size: expected an integer of at least 1, found '0'"),
        ("seed=18446744073709551616", "seed: expected an integer of at least 0"),
        ("eval_delta=0", "eval_delta: expected an integer of at least 1, found '0'"),
        ("num_data_workers=0", "num_data_workers: expected an integer from 1 to 65536, found '0'"),
        ("num_data_workers=1000000000", "num_data_workers: expected an integer from 1 to 65536"),
        ("threads=0", "threads: expected an integer from 1 to 1024 or null, found '0'"),
        (
            "checkpoint_every=0",
            "checkpoint_every: '0': expected iterations (500), minutes (10 minutes) or never, found `0`",
        ),
        (
            "checkpoint_every=-1min",
            "checkpoint_every: '-1min': expected iterations (500), minutes (10 minutes) or never",
        ),
        ("data_args.k=66", "data_args.k: 66; expected at most the 65 tokens"),
        ("model_args.dim=0", "model_args.dim: expected an integer of at least 1, found '0'"),
        ("model_args.max_length=7", "data_args.seq_length: 8 tokens, but the model takes at most"),
    ] {
        let error = place.refused("ihead_basic", &[&END[..], &[setting]].concat());
        assert!(error.starts_with(expected), "{setting}: {error}");
    }
    let nothing = place.refused("ihead_basic", &["max_iters=4", "resume=true"]);
    assert!(
        nothing.ends_with("holds no run to continue: resume=auto begins one where there is none"),
        "{nothing}"
    );
    let both = place.refused("ihead_basic", &["max_iters=4", "resume=true", "overwrite=true"]);
    assert_eq!(both, "resume: true, but overwrite=true: a run is continued or replaced");
}

#[test]
fn an_empty_folder_name_is_not_taken_for_none() {
    let place = Place::new();
    // as from `save_dir=$RUNS` where the shell has no such variable
    let error = place.refused("ihead_basic", &["max_iters=2", "save_dir="]);
    assert_eq!(error, "save_dir: expected a path or null, found nothing after '='");
    for key in ["init_from", "data_args.text", "reprobe"] {
        let error = place.refused("ihead_basic", &["max_iters=2", &format!("{key}=")]);
        assert_eq!(error, format!("{key}: expected a path or null, found nothing after '='"));
    }
    let error = place.refused("ihead_basic", &["max_iters=2", "save_dir=''"]);
    assert_eq!(error, "save_dir: empty; expected a folder, or null to keep no files");
    place.done("ihead_basic", &["max_iters=2", "save_dir=null"]);
    assert!(place.content().is_empty());
}

#[test]
fn instructions_that_are_none_are_refused_and_not_passed_over() {
    let place = Place::new();
    for (name, expected) in [
        ("avx521", "IHEAD_SIMD: 'avx521'; expected portable, avx2 or avx512; did you mean 'avx512'?"),
        ("fast", "IHEAD_SIMD: 'fast'; expected portable, avx2 or avx512"),
    ] {
        let output = place.command("ihead_basic", &["max_iters=2"]).env("IHEAD_SIMD", name).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(error_of(&output), expected);
        assert!(place.content().is_empty());
    }
    let portable = place.command("ihead_basic", &["max_iters=2"]).env("IHEAD_SIMD", "portable").output();
    assert!(portable.unwrap().status.success());
    assert_eq!(place.info()["features"], "portable");
}

#[cfg(unix)]
#[test]
fn names_and_links_that_lead_nowhere_are_one_line() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    // what is compared before and after is the first place: nobody reads a pipe, or through links in a circle, in the other
    let (place, odd) = (Place::new(), Place::new());
    place.done("ihead_basic", &END);
    symlink(odd.path("b"), odd.path("a")).unwrap();
    symlink(odd.path("a"), odd.path("b")).unwrap();
    symlink(place.path("run"), odd.path("link")).unwrap();
    symlink(odd.path("nowhere"), odd.path("dangling")).unwrap();
    std::fs::write(odd.path("file"), "precious").unwrap();
    let made = std::process::Command::new("mkfifo").arg(odd.path("pipe")).status().unwrap();
    assert!(made.success());
    let long = "x".repeat(300);
    let deep = "xxxxxxxxx/".repeat(500);
    for (name, expected) in [
        ("a", "Too many levels of symbolic links"),
        ("link", "holds a run (done, 4 iterations): resume=true continues it"),
        ("file", "file: is no folder, which the run's files would be in; move it away"),
        ("pipe", "pipe: is no folder, which the run's files would be in; move it away"),
        ("dangling", "dangling: is a link to a folder that is not there; make it, or move the link away"),
        ("file/below", "Not a directory"),
        (&long, "File name too long"),
        (&deep, "File name too long"),
    ] {
        let setting = format!("save_dir={}", odd.path(name).display());
        let error = place.refused("ihead_basic", &["max_iters=4", &setting]);
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!odd.path(".dangling.ihead-new").exists()); // it stayed, with the files of a run
    }
    for (key, expected) in [("init_from", "Too many levels"), ("data_args.text", "Too many levels")] {
        let setting = format!("{key}={}", odd.path("a").display());
        let other = format!("save_dir={}", place.path("other").display());
        let error = place.refused("ihead_basic", &["max_iters=4", &setting, &other]);
        assert!(error.contains(expected), "{key}: {error}");
    }
    let mut command = place.command("ihead_basic", &END);
    let output = command.arg(OsStr::from_bytes(b"data_args.text=\xff\xfe")).output().unwrap();
    assert!(error_of(&output).contains("is not valid Unicode"), "{}", said(&output));
}

#[test]
fn files_of_nothing_and_of_noise_are_one_line() {
    let place = Place::new();
    std::fs::write(place.path("empty"), "").unwrap();
    std::fs::write(place.path("one"), "aaaa").unwrap();
    std::fs::write(place.path("noise"), [0x93, 0xff, 0x00, 0x7b, 0x80].repeat(1000)).unwrap();
    std::fs::write(place.path("deep"), "[".repeat(100_000)).unwrap();
    for (setting, file, expected) in [
        ("init_from=", "empty", "not a whole safetensors file of 0 bytes"),
        ("init_from=", "noise", "not a whole safetensors file of 5000 bytes"),
        ("init_from=", "", "Is a directory"),
        ("data_args.text=", "empty", "text: empty; expected at least two distinct characters"),
        ("data_args.text=", "one", "text: 'a' alone, repeated; expected at least two distinct characters"),
        ("data_args.text=", "noise", "not UTF-8 text: byte 0 is out of place"),
        ("data_args.text=", "", "Is a directory"),
        ("--config=", "empty", "not JSON: EOF while parsing a value at line 1"),
        ("--config=", "noise", "not JSON"),
        ("--config=", "deep", "recursion limit exceeded"),
        ("--config=", "", "Is a directory"),
    ] {
        let setting = format!("{setting}{}", place.path(file).display());
        let error = place.refused("ihead_basic", &["max_iters=4", &setting]);
        assert!(error.contains(expected), "{setting}: {error}");
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let place = Place::new();
    place.done("ihead_basic", &END);
    let trained = ihead::io::read(&place.path("run/final.safetensors")).unwrap();
    let write = |changed: &str, dtype: Dtype, shape: &[usize], data: &[u8]| {
        let single = |values: &ihead::nn::Values| {
            values.single().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()
        };
        let bytes: HashMap<&String, Vec<u8>> =
            trained.iter().map(|(name, array)| (name, single(&array.values))).collect();
        let mut views: HashMap<&str, TensorView<'_>> = trained
            .iter()
            .map(|(name, array)| {
                (name.as_str(), TensorView::new(Dtype::F32, array.shape.clone(), &bytes[name]).unwrap())
            })
            .collect();
        views.insert(changed, TensorView::new(dtype, shape.to_vec(), data).unwrap());
        let content = safetensors::serialize(views, None).unwrap();
        std::fs::write(place.path("other.safetensors"), content).unwrap();
    };
    let init = format!("init_from={}", place.path("other.safetensors").display());
    let other = format!("save_dir={}", place.path("new").display());
    let line = |more: &'static str| ["max_iters=1", &init, &other, more];
    let doubles = |value: f64| [value; 260].map(f64::to_le_bytes).concat();

    write("output.weight", Dtype::I32, &[65, 4], &[0; 1040]);
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.ends_with("output.weight has type I32, expected F32 or F64"), "{error}");
    write("output.weight", Dtype::F32, &[4, 65], &[0; 1040]);
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.ends_with("output.weight has shape [4, 65], expected [65, 4]"), "{error}");
    write("output.weight", Dtype::F32, &[0, 4], &[]);
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.ends_with("output.weight has shape [0, 4], expected [65, 4]"), "{error}");
    write("wurst", Dtype::F32, &[1], &[0; 4]);
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.contains("the model has no tensor wurst"), "{error}");
    write("output.weight", Dtype::F64, &[65, 4], &doubles(f64::NEG_INFINITY));
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.ends_with("output.weight has -inf at place 0; expected finite numbers"), "{error}");

    // beyond 32 bits: no run in these can begin from it; one in 64 bits can
    write("output.weight", Dtype::F64, &[65, 4], &doubles(1e39));
    let error = place.refused("ihead_basic", &line("seed=1"));
    assert!(error.contains("output.weight: has the value 1e39; expected at most 3.4028235e38, the largest of single precision; precision=double keeps it"), "{error}");
    place.done("ihead_basic", &["max_iters=0", &init, &other, "precision=double"]);
}

#[test]
fn a_run_whose_files_were_damaged_is_not_gone_on_with() {
    let place = Place::new();
    let file = |name: &str| place.path("run").join(name);
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let other_value = |bytes: &[u8]| [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat();
    let stays = "put the file back, or move it away to continue without it";
    for (name, damage, expected) in [
        ("checkpoint.safetensors", None, "No such file"),
        ("checkpoint.safetensors", Some(&(|_: &[u8]| vec![]) as &dyn Fn(&[u8]) -> Vec<u8>), "0 bytes"),
        ("checkpoint.safetensors", Some(&half), "not a whole safetensors file"),
        ("checkpoint.safetensors", Some(&|bytes| bytes[..bytes.len() - 1].to_vec()), "not a whole"),
        ("checkpoint.safetensors", Some(&other_value), "its values are not those that the run has written"),
        ("snapshots/2.safetensors", Some(&half), stays),
        ("params.json", Some(&half), stays),
        ("run.json", Some(&|_| vec![]), "run.json: not of a run"),
        ("run.json", Some(&half), "run.json: not of a run"),
        ("res.jsonl", None, "res.jsonl"),
        ("res.jsonl", Some(&half), "the checkpoint knows of"),
    ] {
        place.done("ihead_basic", &["max_iters=4", "overwrite=true", "timeline=2: snapshot"]);
        let whole = std::fs::read(file(name)).unwrap();
        match damage {
            None => std::fs::remove_file(file(name)).unwrap(),
            Some(damage) => std::fs::write(file(name), damage(&whole)).unwrap(),
        }
        let error = place.refused("ihead_basic", &["max_iters=9", "resume=true", "timeline=2: snapshot"]);
        assert!(error.contains(expected), "{name}: {error}");
    }
    for moved_away in ["snapshots/2.safetensors", "params.json"] {
        place.done("ihead_basic", &["max_iters=4", "overwrite=true", "timeline=2: snapshot"]);
        std::fs::remove_file(file(moved_away)).unwrap();
        place.done("ihead_basic", &["max_iters=9", "resume=true", "timeline=2: snapshot", "report=true"]);
    }
}

/// A limit on the length of files would end the process by a signal, in the middle of a line.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_length_of_files_is_an_error_and_the_records_stay_whole() {
    let place = Place::new();
    let run = place.command("ihead_basic", &["max_iters=2000", "optim_args.learning_rate=0.001"]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]).arg(run.get_program()).args(run.get_args());
    let output = limited.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(error_of(&output).contains("File too large"), "{}", said(&output));
    assert!(place.records().lines().count() > 10);
    for record in place.records().lines() {
        serde_json::from_str::<serde_json::Value>(record).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn files_of_somebody_else_in_the_folder_stay() {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path("run/thesis.tex"), "years of work").unwrap();
    place.done("ihead_basic", &["max_iters=2", "overwrite=true"]);
    place.done("ihead_basic", &["max_iters=2", "overwrite=true"]);
    assert_eq!(std::fs::read_to_string(place.path("run/thesis.tex")).unwrap(), "years of work");
}

#[test]
fn records_that_somebody_changed_are_refused_and_left_as_they_are() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=6", "eval_delta=2"]);
    let (path, info) = (place.path("run/res.jsonl"), place.path("run/run.json"));
    let whole = std::fs::read_to_string(&path).unwrap();
    for (changed, said) in [
        (whole.replace('\n', "\r\n"), "line 3: its end is not where it was"),
        (whole.replacen("\"iter\":0", "\"iter\":  0", 1), "line 3: its end is not where it was"),
        (whole.replacen("{\"iter\":0", "[\"iter\":0", 1), "line 1: not an object in JSON"),
        (whole.replacen("\"iter\"", "\"itre\"", 1), "line 1: without its iteration"),
        (whole[..whole.len() - 9].into(), "the checkpoint knows of"),
    ] {
        assert_ne!(changed, whole);
        std::fs::write(&path, &changed).unwrap();
        let before = std::fs::read(&info).unwrap();
        let error = place.refused("ihead_basic", &["max_iters=8", "eval_delta=2", "resume=true"]);
        assert!(error.contains("res.jsonl") && error.contains(said), "{error}");
        assert!(error.ends_with(
            "it was changed after the run had written it; put it back, or begin again with overwrite=true"
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
        assert_eq!(std::fs::read(&info).unwrap(), before);
    }
    std::fs::write(&path, &whole).unwrap();
    place.done("ihead_basic", &["max_iters=8", "eval_delta=2", "resume=true"]);
}
