//! What every program prints about its settings, read by those for whom it is: shells, and a validator of JSON Schema.
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{line, program, run};

fn printed(name: &str, args: &[&str]) -> String {
    let output = run(name, &line(args));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `shell` prints when it runs `script`; nothing if there is no such shell.
fn shell(shell: &str, script: &str) -> Option<String> {
    let output = match Command::new(shell).arg("-c").arg(script).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no {shell} here");
            return None;
        }
        Err(error) => panic!("{shell}: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What bash proposes at the end of this line.
fn bash(line: &str) -> Vec<String> {
    let script = format!(
        "source <({program} --completions bash)
         COMP_LINE={line} COMP_POINT=${{#COMP_LINE}} COMP_WORDS=($COMP_LINE) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         [[ $COMP_LINE != *' ' ]] || {{ COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)); }}
         complete -p ihead_basic >/dev/null && $(complete -p ihead_basic | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        program = program("ihead_basic").display(),
        line = format_args!("'{line}'"),
    );
    let said = shell("bash", &script).expect("bash");
    said.lines().filter(|line| !line.is_empty()).map(String::from).collect()
}

#[test]
fn a_real_bash_completes_keys_choices_options_and_files() {
    assert_eq!(bash("ihead_basic optim_args.mom"), ["optim_args.momentum="]);
    assert_eq!(bash("ihead_basic max_iters=3 device=c"), ["cpu", "cuda"]);
    assert_eq!(bash("ihead_basic log_norms="), ["true", "false"]);
    assert_eq!(bash("ihead_basic max_iters=n"), ["null"]);
    assert_eq!(bash("ihead_basic --exp"), ["--explain"]);
    assert_eq!(bash("ihead_basic --completions z"), ["zsh"]);
    let here = env!("CARGO_MANIFEST_DIR");
    assert_eq!(bash(&format!("ihead_basic init_from={here}/Cargo.to")), [format!("{here}/Cargo.toml")]);
    assert_eq!(bash(&format!("ihead_basic --config {here}/Cargo.to")), [format!("{here}/Cargo.toml")]);
    assert_eq!(bash("ihead_basic --sweep seed=1,2 data_args.seq"), ["data_args.seq_length="]);
    assert!(bash("ihead_basic nothing").is_empty());
    assert!(bash("ihead_basic ").len() > 40);
}

#[test]
fn zsh_and_fish_read_their_scripts_and_fish_completes() {
    let program = program("ihead_basic");
    let program = program.display();
    shell(
        "zsh",
        &format!("autoload -Uz compinit && compinit -u -D && source <({program} --completions zsh)"),
    );
    let fish = |line: &str| {
        let said = shell("fish", &format!("{program} --completions fish | source; complete -C '{line}'"));
        said.map(|said| {
            said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    if let Some(found) = fish("ihead_basic optim_args.mom") {
        assert_eq!(found, ["optim_args.momentum="]);
        assert_eq!(fish("ihead_basic device=c").unwrap(), ["device=cpu", "device=cuda"]);
        assert_eq!(fish("ihead_basic --exp").unwrap(), ["--explain"]);
    }
}

#[test]
fn only_programs_that_make_sweeps_offer_them() {
    for (name, sweeps) in [("ihead_basic", true), ("template", true), ("collect", false), ("probe", false)] {
        assert_eq!(printed(name, &["--help"]).contains("--sweep"), sweeps, "{name}");
        assert_eq!(printed(name, &["--completions", "fish"]).contains("-l sweep"), sweeps, "{name}");
        let bash = printed(name, &["--completions", "bash"]);
        assert_eq!(bash.contains("--sweep"), sweeps, "{name}");
        assert!(bash.ends_with(&format!("complete -F _complete_{name} {name}\n")), "{bash}");
    }
}

#[test]
fn explain_says_what_follows_from_the_settings() {
    let said = printed("ihead_basic", &["--explain", "seed=3", "save_dir=x"]);
    let line =
        |start: &str, end: &str| said.lines().any(|line| line.starts_with(start) && line.ends_with(end));
    assert!(line("seed=3 ", " argument 2") && line("max_iters=null ", " default"), "{said}");
    assert!(line("threads=null ", " default") && line("threads=", " derived: all cores"), "{said}");
    assert!(line("model_args.vocab_size=65 ", " derived: the characters of the text"), "{said}");
}

/// The Python in which the real tools are: `IHEAD_PYTHON`, which `.ci/python` makes; nothing, said aloud, without it.
pub fn python() -> Option<String> {
    let python = std::env::var("IHEAD_PYTHON").ok();
    if python.is_none() {
        eprintln!("skipped: IHEAD_PYTHON is not set; .ci/python makes one and prints its path");
    }
    python
}

/// Runs a script of `tests/python` with these arguments.
pub fn script(python: &str, name: &str, args: &[&Path]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name);
    let output = Command::new(python).arg(path).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_real_validator_takes_the_schema_its_record_and_no_wrong_one() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let record = printed("ihead_basic", &["--print-config", "max_iters=3", "data_args.k=2"]);
    write("schema.json", &printed("ihead_basic", &["--schema"]));
    write("good.json", &record);
    for (number, (pointer, wrong)) in [
        ("/max_iters", Value::from(1.5)),
        ("/optim_args/learning_rate", Value::from(-1.0)),
        ("/optim_args/batch_size", Value::from(0)),
        ("/device", Value::from("gpu")),
        ("/log_norms", Value::from("true")),
        ("/data_args", Value::from(3)),
        ("/seed", Value::from(-1)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut values: Value = serde_json::from_str(&record).unwrap();
        *values.pointer_mut(pointer).unwrap() = wrong;
        write(&format!("wrong{number}.json"), &values.to_string());
        // the program agrees with its schema
        let config = format!("--config={}", dir.path().join(format!("wrong{number}.json")).display());
        assert_eq!(
            run("ihead_basic", &[config, "--print-config".into()]).status.code(),
            Some(2),
            "{pointer}"
        );
    }
    let mut values: Value = serde_json::from_str(&record).unwrap();
    values["optim_args"]["momentun"] = Value::from(0.5);
    write("wrong7.json", &values.to_string());
    if let Some(python) = python() {
        let said = script(&python, "validate.py", &[dir.path()]);
        assert_eq!(said, "good.json fits\n8 others do not\n");
    }
}
