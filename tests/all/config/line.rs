//! What a right command line gives.

use std::path::PathBuf;

use ihead::Config;
use ihead::config::Origin;

use super::{Args, Device, args, parse};

#[test]
fn nothing_said_gives_the_defaults_with_the_overrides_of_groups() {
    let args = args(&[]);
    assert_eq!(args, Args::defaults());
    assert_eq!(args, Args::default());
    assert_eq!(Args { shift: 1, ..Default::default() }.optim_args.learning_rate, 3e-4);
    assert_eq!(args.optim_args.learning_rate, 3e-4);
    assert!(!args.optim_args.use_sgd);
    assert_eq!(args.optim_args.batch_size, 512);
    assert_eq!(args.run.seed, 7);
    assert_eq!(args.names, ["a", "b"]);
    assert_eq!(args.temperature, 1.0);
}

#[test]
fn values_of_every_kind() {
    let line = [
        "optim_args.learning_rate=1e-4",
        "optim_args.batch_size=1e3",
        "optim_args.use_sgd=True",
        "model_args.dim=128",
        "max_iters=200",
        "freeze_until=100:a,200:b",
        "device=cuda",
        "layers=[1,2, 3]",
        "names=['x,y', z]",
        "temperature=.5",
        "threshold=nan",
        "shift=-10",
        "seed=18446744073709551615",
        "type=true",
    ];
    let args = args(&line);
    assert_eq!(args.optim_args.learning_rate, 1e-4);
    assert_eq!(args.optim_args.batch_size, 1000);
    assert!(args.optim_args.use_sgd);
    assert_eq!(args.model_args.dim, 128);
    assert_eq!(args.max_iters, Some(200));
    assert_eq!(args.freeze_until, "100:a,200:b");
    assert_eq!(args.device, Device::Cuda);
    assert_eq!(args.layers, [1, 2, 3]);
    assert_eq!(args.names, ["x,y", "z"]);
    assert_eq!(args.temperature, 0.5);
    assert!(args.threshold.is_nan());
    assert_eq!(args.shift, -10);
    assert_eq!(args.run.seed, u64::MAX);
    assert!(args.r#type);
    assert_eq!(super::args(&["device=tpu-v5"]).device, Device::Tpu);
}

#[test]
fn text_is_verbatim_but_for_a_pair_of_quotes() {
    assert_eq!(args(&["save_dir=007"]).run.save_dir, Some(PathBuf::from("007")));
    assert_eq!(args(&["freeze_until=null"]).freeze_until, "null");
    assert_eq!(args(&["freeze_until=a=b"]).freeze_until, "a=b");
    for empty in ["freeze_until=", "freeze_until=''", "freeze_until=\"\""] {
        assert_eq!(args(&[empty]).freeze_until, "");
    }
    assert_eq!(args(&["freeze_until='it'"]).freeze_until, "it");
    assert_eq!(args(&["freeze_until=it's"]).freeze_until, "it's");
    for null in ["save_dir=null", "save_dir=None"] {
        assert_eq!(args(&[null]).run.save_dir, None);
    }
    assert_eq!(args(&["save_dir=''"]).run.save_dir, Some(PathBuf::new()));
    assert_eq!(args(&["save_dir='null'"]).run.save_dir, Some(PathBuf::from("null")));
}

#[test]
fn the_same_value_twice_is_no_contradiction() {
    assert_eq!(args(&["max_iters=1000", "max_iters=1e3"]).max_iters, Some(1000));
}

#[test]
fn a_value_without_effect_warns() {
    let warnings = |line: &[&str]| -> Vec<String> {
        parse(line).unwrap().warnings.iter().map(ToString::to_string).collect()
    };
    let idle = "optim_args.momentum: has no effect: it applies when optim_args.use_sgd=true";
    assert_eq!(warnings(&["optim_args.momentum=0.5"]), [idle]);
    assert!(warnings(&["optim_args.momentum=0.5", "optim_args.use_sgd=true"]).is_empty());
    assert!(warnings(&[]).is_empty());
    assert_eq!(warnings(&["root_dir=runs"]), ["root_dir: has no effect: it applies when save_dir!=null"]);
    assert!(warnings(&["root_dir=runs", "save_dir=a"]).is_empty());
}

#[test]
fn a_program_says_which_of_its_values_have_no_effect() {
    let warnings = |line: &[&str]| -> Vec<String> {
        parse(line).unwrap().warnings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(warnings(&["names=[x]"]), ["names: has no effect: there are no layers to print"]);
    assert!(warnings(&["names=[x]", "layers=[1]"]).is_empty());
    // what nobody set is not warned of
    assert_eq!(warnings(&["temperature=2"]), ["temperature: has no effect in these tests"]);
}

#[test]
fn each_value_knows_its_origin() {
    let parsed = parse(&["max_iters=3", "seed=1"]).unwrap();
    assert_eq!(parsed.origin("seed"), Some(&Origin::Argument { number: 2 }));
    assert_eq!(parsed.origin("optim_args.learning_rate"), Some(&Origin::Default));
    assert_eq!(parsed.origin("nothing"), None);
}
