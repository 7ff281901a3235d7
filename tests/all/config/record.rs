//! Records: `params.json` out and in.

use std::fs;
use std::path::PathBuf;

use ihead::Config;
use ihead::config::{self, Exit, Origin, Parsed, Parser, Value, settings_json};
use proptest::prelude::*;

use super::{Args, Device, args, parse, printed, problems};

fn file(content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("params.json");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_record_reads_back_with_its_derived_keys() {
    let run = args(&["optim_args.learning_rate=0.1", "layers=[3]", "save_dir=x", "threshold=inf"]);
    let (_folder, path) = file(&settings_json(&run, [("model_args.vocab_size", Value::from(65))]));
    assert_eq!(args(&["--config", &path]), run);
    let parsed = parse(&[&format!("--config={path}"), "seed=9"]).unwrap();
    assert_eq!(parsed.origin("max_iters"), Some(&Origin::File(PathBuf::from(&path))));
    assert_eq!(parsed.origin("seed"), Some(&Origin::Argument { number: 2 }));
    assert_eq!(parsed.args.layers, [3]);
}

#[test]
fn print_config_is_a_record_with_sorted_keys() {
    let text = printed(&["--print-config", "max_iters=3"]);
    let (_folder, path) = file(&text);
    assert_eq!(args(&["--config", &path]).max_iters, Some(3));
    let keys: Vec<_> =
        serde_json::from_str::<Value>(&text).unwrap().as_object().unwrap().keys().cloned().collect();
    assert!(keys.is_sorted(), "{keys:?}");
    assert!(text.contains("\"seed\": 7"), "flattened keys stand at their level: {text}");
}

#[test]
fn a_file_lacks_keys_but_has_none_too_many() {
    let (_folder, path) = file(r#"{"optim_args": {"batch_size": 1e3, "learning_rate": 1}}"#);
    let read = args(&["--config", &path]);
    assert_eq!((read.optim_args.batch_size, read.optim_args.learning_rate, read.run.seed), (1000, 1.0, 7));

    let (_folder, path) = file(
        r#"{"optim_args": {"batch_siz": 1, "momentum": "0.5"}, "model_args": 3, "seed": {"a": 1}, "device": "gpu"}"#,
    );
    let expected = [
        "no setting 'optim_args.batch_siz'; did you mean 'optim_args.batch_size'?",
        "optim_args.momentum: expected a number from 0 to 1, found \"0.5\"",
        "model_args: is a section, found 3",
        "seed: expected an integer of at least 0, found {\"a\":1}",
        "device: expected one of cpu, cuda, tpu-v5, found \"gpu\"; did you mean 'cpu'?",
    ];
    let found = problems(&["--config", &path, "lr=1"]);
    let found: Vec<_> = found.iter().map(|line| line.trim_start_matches(&format!("{path}: "))).collect();
    assert_eq!(found[..5], expected);
    assert_eq!(found[5], "no setting 'lr'; --help lists them all");
}

#[test]
fn files_that_are_no_records() {
    let missing = problems(&["--config", "no/such/file.json", "seed=x"]);
    assert!(missing[0].starts_with("cannot read no/such/file.json: "), "{missing:?}");
    assert_eq!(missing.len(), 2);
    // a mark of the byte order is no part of it
    let (_folder, path) = file("\u{feff}{\"seed\": 3}");
    assert_eq!(args(&["--config", &path]).run.seed, 3);
    let (_folder, path) = file("{\"seed\": ");
    assert!(problems(&["--config", &path])[0].starts_with(&format!("{path}: not JSON: ")));
    let (_folder, path) = file("[1]");
    assert_eq!(
        problems(&["--config", &path]),
        [format!("{path}: expected an object of settings, found a list")]
    );
    let (_folder, path) =
        file(r#"{"status": "done", "error": null, "iterations": 20, "host": "vm", "seed": 3}"#);
    let other = "4 of its 5 keys, such as 'status', are no settings of this program; expected the params.json of one of its runs";
    assert_eq!(problems(&["--config", &path]), [format!("{path}: {other}")]);
    // half of them are settings: each of the others is named
    let (_folder, path) = file(
        r#"{"status": 0, "error": 0, "iterations": 0, "host": 0, "seed": 3, "shift": 1, "layers": [], "names": []}"#,
    );
    assert_eq!(problems(&["--config", &path]).len(), 4);
    assert_eq!(
        problems(&["--config", "no/a", "--config", "no/b"])[1],
        "--config is given twice, with 'no/a' and 'no/b'"
    );
}

#[test]
fn a_program_may_name_more_derived_keys() {
    let (_folder, path) = file(r#"{"git": {"commit": "abc"}, "seed": 3}"#);
    let line = || ["--config".to_owned(), path.clone()];
    assert!(matches!(Parser::<Args>::new().parse(line()), Err(Exit::Fail(_))));
    assert_eq!(Parser::<Args>::new().derived(["git"]).parse(line()).unwrap().args.run.seed, 3);
}

#[test]
fn values_from_a_program() {
    let values = serde_json::json!({"optim_args": {"batch_size": 2}, "device": "cuda"});
    let args = Args::from_value(&values).unwrap();
    assert_eq!(args.optim_args.batch_size, 2);
    assert_eq!(Args::from_value(&args.to_value()), Ok(args));
    let problems = Args::from_value(&serde_json::json!({"sede": 2})).unwrap_err();
    assert_eq!(problems[0].to_string(), "no setting 'sede'; did you mean 'seed'?");
}

proptest! {
    #[test]
    fn numbers_and_text_read_back_to_the_same_bits(
        rate in 0.0..f64::MAX, seed: u64, shift: i32, text: String,
        temperature in f32::MIN_POSITIVE..f32::MAX, save_dir in proptest::option::of("[^\0]+"),
        names: Vec<String>,
    ) {
        let mut args = Args::defaults();
        args.optim_args.learning_rate = rate;
        args.run.seed = seed;
        args.shift = shift;
        args.freeze_until = text;
        args.temperature = temperature;
        args.run.save_dir = save_dir.map(PathBuf::from);
        args.names = names;
        let text = settings_json(&args, []);
        let read = Args::from_value(&serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(read.optim_args.learning_rate.to_bits(), rate.to_bits());
        prop_assert_eq!(read.temperature.to_bits(), temperature.to_bits());
        prop_assert_eq!(read, args);
    }

    #[test]
    fn any_configuration_as_a_command_line_is_read_back_as_it_was(
        numbers in (0.0..f64::MAX, 0.0..=1.0, f32::MIN_POSITIVE..f32::MAX, any::<f64>()),
        integers: (i32, u64), batch in 1..usize::MAX, steps in proptest::option::of(1..usize::MAX),
        heads in 1usize..9, times in 1usize..99, flags: (bool, bool),
        device in prop::sample::select(vec![Device::Cpu, Device::Cuda, Device::Tpu]),
        layers in proptest::collection::vec(0usize..10, 0..4),
        text: String, root: String, save_dir: Option<String>, names: Vec<String>,
        quoted in proptest::collection::vec("[\\[\\] ',\"ab]{0,6}", 0..5),
    ) {
        let mut args = Args::defaults();
        args.model_args.n_heads = heads;
        args.model_args.dim = heads * times;
        (args.optim_args.learning_rate, args.optim_args.momentum) = (numbers.0, numbers.1);
        (args.temperature, args.threshold) = (numbers.2, numbers.3);
        (args.shift, args.run.seed) = integers;
        (args.optim_args.batch_size, args.max_iters) = (batch, steps);
        (args.optim_args.use_sgd, args.r#type) = flags;
        (args.device, args.layers, args.freeze_until) = (device, layers, text);
        (args.run.save_dir, args.run.root_dir) = (save_dir.map(PathBuf::from), PathBuf::from(root));
        args.names = names.into_iter().chain(quoted).collect();
        let schema = Args::schema().with_defaults(&args.to_value());
        let line: Vec<String> = schema.settings().iter()
            .map(|keyed| format!("{}={}", keyed.key, keyed.setting.kind.to_text(&keyed.setting.default)))
            .collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        // NaN is not equal to itself, its JSON is
        prop_assert_eq!(super::args(&line).to_value(), args.to_value());
    }

    #[test]
    fn no_command_line_panics(line in proptest::collection::vec("[-a-z._=\\[\\]',\"0-9é ]{0,20}", 0..4)) {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let _ = parse(&line);
    }

    #[test]
    fn no_value_panics(key in prop::sample::select(Args::schema().settings().iter().map(|keyed| keyed.key.clone()).collect::<Vec<_>>()), text: String) {
        let _ = parse(&[&format!("{key}={text}")]);
    }
}

/// No settings yet.
#[derive(Config, Clone, Debug, PartialEq)]
struct Nothing;

#[derive(Config, Clone, Debug, PartialEq)]
struct WithNothing {
    #[config(group)]
    nothing: Nothing,
    #[config(default = 1)]
    seed: u64,
}

#[test]
fn a_section_without_settings_is_read_back() -> std::io::Result<()> {
    let args = WithNothing { nothing: Nothing, seed: 3 };
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("params.json");
    std::fs::write(&path, settings_json(&args, []))?;
    for line in [vec!["seed=3".to_string()], vec!["--config".into(), path.display().to_string()]] {
        let Ok(Parsed { args: found, .. }) = config::parse::<WithNothing>(line.clone()) else {
            panic!("{line:?} is refused")
        };
        assert_eq!(found, args);
    }
    let Err(Exit::Fail(problems)) = config::parse::<WithNothing>(["nothing=1".to_string()]) else {
        panic!("a section has no value")
    };
    assert_eq!(problems[0].to_string(), "nothing: is a section without settings");
    Ok(())
}

#[test]
fn one_list_of_a_list_of_lists_is_told_its_brackets() {
    #[derive(Config, Debug)]
    struct Nested {
        #[config(default = [[1]])]
        lists: Vec<Vec<u8>>,
    }
    let parse = |text: &str| config::parse::<Nested>([format!("lists={text}")]);
    let Err(Exit::Fail(problems)) = parse("[1,2]") else { panic!("[1,2] is accepted") };
    assert!(problems[0].message.ends_with("found '[1,2]'; write [[1,2]]"), "{}", problems[0].message);
    for (text, expected) in
        [("[]", vec![]), ("[[]]", vec![vec![]]), ("[[1,2],[3]]", vec![vec![1, 2], vec![3]])]
    {
        assert!(matches!(parse(text), Ok(Parsed { args, .. }) if args.lists == expected), "{text}");
    }
}
