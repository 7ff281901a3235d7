//! The schema, and mistakes that only it can see.

use ihead::Config;
use ihead::config::{self, Exit, Kind, Value};
use ihead::run::Resume;

use super::Args;

#[test]
fn a_schema_has_all_there_is_to_know() {
    let schema = Args::schema();
    assert_eq!((schema.name, schema.help), ("Args", "An experiment."));
    assert_eq!(schema.derived, ["model_args.vocab_size"]);
    let settings = schema.settings();
    let find = |key: &str| settings.iter().find(|keyed| keyed.key == key).unwrap().setting;
    let momentum = find("optim_args.momentum");
    assert_eq!((momentum.bounds.min, momentum.bounds.max), (Some(0.0), Some(1.0)));
    assert_eq!(momentum.applies[0].to_string(), "use_sgd=true");
    assert_eq!(find("optim_args.learning_rate").default, Value::from(3e-4));
    let Kind::Choice(choices) = &find("device").kind else { unreachable!() };
    assert_eq!((choices[1].name, choices[1].help), ("cuda", "A graphics card."));
    assert!(schema.problems().is_empty());
}

#[derive(Config, Debug)]
struct Inner {
    #[config(default = 1)]
    seed: u64,
    #[config(default = 1.0, min = 0.0)]
    rate: f64,
}

/// A field of this struct and one of a flattened struct have one key.
#[derive(Config, Debug)]
struct Twice {
    #[config(default = 1)]
    seed: u64,
    #[config(flatten)]
    inner: Inner,
}

/// An override outside the bounds of the group, and a condition that no value meets.
#[derive(Config, Debug)]
struct Outside {
    #[config(group, default(rate = -1.0))]
    inner: Inner,
    #[config(default = 3, applies = "other=x")]
    depth: usize,
    #[config(default = 3)]
    other: usize,
}

fn problems<A: Config + std::fmt::Debug>() -> Vec<String> {
    match config::parse::<A>([]) {
        Err(Exit::Fail(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mistakes_that_meet_in_the_schema_are_reported() {
    assert_eq!(problems::<Twice>(), ["seed: two fields of Twice have this key"]);
    assert_eq!(
        problems::<Outside>(),
        [
            "depth: it applies when other=x, but: expected an integer of at least 0, found 'x'",
            "inner.rate: its default does not fit: expected a number of at least 0, found -1.0",
        ]
    );
}

/// Fields called like what the derive's own code might call something.
#[derive(Config, Debug, PartialEq)]
struct Names {
    #[config(default = 1)]
    from: usize,
    #[config(default = 2)]
    to: usize,
    #[config(default = 3)]
    reader: usize,
    #[config(default = 4)]
    writer: usize,
    #[config(default = 5)]
    defaults: usize,
    #[config(default = 6)]
    problems: usize,
    #[config(group, default(depth = 7))]
    group: Depth,
    #[config(default = 8)]
    value_0: usize,
}

#[derive(Config, Debug, PartialEq)]
struct Depth {
    #[config(default = 3)]
    depth: usize,
}

#[test]
fn fields_may_have_any_name() {
    let names = config::parse::<Names>(["value_0=9".to_owned(), "reader=0".to_owned()]).unwrap().args;
    let group = Depth { depth: 7 };
    assert_eq!(
        names,
        Names { from: 1, to: 2, reader: 0, writer: 4, defaults: 5, problems: 6, group, value_0: 9 }
    );
    assert_eq!(Names::from_value(&names.to_value()), Ok(names));
}

/// The program's earlier run.
#[derive(Config, Debug)]
struct Continued {
    /// An earlier run in the folder.
    #[config(default = Resume::No)]
    resume: Resume,
}

/// Help said `text`, and completions offered nothing.
#[test]
fn the_values_of_resume_are_listed_as_those_of_an_enum() {
    let read = |line: &str| config::parse::<Continued>([line.to_string()]);
    let Err(Exit::Print { text, .. }) = read("--help") else { panic!() };
    assert!(text.contains("  resume=false  one of false, true, auto\n"), "{text}");
    assert!(text.contains("        auto: Continues the run in the folder, or begins one.\n"), "{text}");
    for (word, resume) in
        [("false", Resume::No), ("true", Resume::Yes), ("True", Resume::Yes), ("auto", Resume::Auto)]
    {
        assert_eq!(read(&format!("resume={word}")).unwrap().args.resume, resume);
        assert_eq!(resume.to_string(), word.to_lowercase());
    }
    let Err(Exit::Fail(problems)) = read("resume=atuo") else { panic!() };
    assert_eq!(
        problems[0].to_string(),
        "resume: expected one of false, true, auto, found 'atuo'; did you mean 'auto'?"
    );
}
