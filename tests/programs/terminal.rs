//! What a run shows on a terminal, and what elsewhere. A terminal is made by Python's `pty`.
use std::path::Path;
use std::process::Command;

use crate::process::{SMALL, line, program, run};

/// A run of a second, in which accuracies and recalls come close to 1.
const TEMPLATE: [&str; 2] = ["steps=300", "threads=1"];

const MORE: [&str; 3] = ["max_iters=20", "threads=1", "report=false"];

/// Everything that a program shows on a terminal of 100 columns; nothing, said aloud, where there is no Python.
fn on_terminal(colours: bool, name: &str, args: &[&str]) -> Option<String> {
    let python = std::env::var("IHEAD_PYTHON").unwrap_or("python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/on_terminal.py");
    let mut command = Command::new(&python);
    command.arg(script).arg("100").arg(program(name)).args(args).env("TERM", "xterm-256color");
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    if !colours {
        command.env("NO_COLOR", "1");
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: what is shown on a terminal: {python}: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The escapes of a text: each from its `[` to its letter.
fn escapes(shown: &str) -> Vec<&str> {
    let ends = |text: &str| text.find(|c: char| c.is_ascii_alphabetic()).map_or(text.len(), |at| at + 1);
    shown.split("\x1b").skip(1).map(|text| &text[..ends(text)]).collect()
}

/// Those that set a colour or a weight.
fn styles(shown: &str) -> Vec<&str> {
    escapes(shown).into_iter().filter(|escape| escape.ends_with('m')).collect()
}

/// The lines as they stand on the terminal, without escapes.
fn lines(shown: &str) -> Vec<String> {
    let mut text = shown.split("\x1b").next().unwrap().to_string();
    for part in shown.split("\x1b").skip(1) {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        text += &part[end..];
    }
    text.split(['\r', '\n']).map(|line| line.trim_end().to_string()).filter(|line| !line.is_empty()).collect()
}

/// Where the words of a line end.
fn ends(line: &str) -> Vec<usize> {
    let at = |i: usize| line[i..].chars().next().is_some_and(|c| c != ' ');
    (0..line.len()).filter(|i| at(*i) && (i + 1 == line.len() || !at(i + 1))).map(|i| i + 1).collect()
}

#[test]
fn a_terminal_has_a_table_a_bar_colours_and_three_lines_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let folder = format!("save_dir={}", dir.path().join("run").display());
    let args = [&TEMPLATE[..], &[&folder]].concat();
    let Some(shown) = on_terminal(true, "template", &args) else { return };
    let lines = lines(&shown);
    let header = lines.iter().position(|line| line.trim_start().starts_with("iteration")).unwrap();
    assert_eq!(
        lines[header].split_whitespace().collect::<Vec<_>>(),
        ["iteration", "loss", "accuracy", "looks_back", "copies"]
    );
    let is_row = |line: &&String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() == 5 && words.iter().all(|word| word.parse::<f64>().is_ok())
    };
    let rows: Vec<&String> = lines.iter().filter(is_row).collect();
    assert!(rows.len() >= 7, "{shown}");
    for row in &rows[..7] {
        assert_eq!(ends(row), ends(&lines[header]), "{row}\n{}", lines[header]);
    }
    // the header is bold, what is reached green
    let styles = styles(&shown);
    assert!(styles.contains(&"[1m") && styles.contains(&"[32m") && styles.contains(&"[0m"), "{styles:?}");
    let bars = lines.iter().filter_map(|line| line.split_once("/300, ")?.1.split_once(" steps/s, left "));
    let moving = |(speed, left): (&str, &str)| {
        speed.parse::<f64>().is_ok_and(|speed| speed > 0.0) && left.contains("s, loss")
    };
    assert!(bars.clone().any(moving), "{:?}", bars.collect::<Vec<_>>());
    let reached = lines.iter().position(|line| line.starts_with("reached 300 iterations in ")).unwrap();
    assert!(lines[reached].contains(", accuracy 1.0000"), "{}", lines[reached]);
    assert!(lines[reached + 1].starts_with("files   ") && lines[reached + 1].contains("run.json, res.jsonl"));
    assert!(lines[reached + 2].ends_with("run/report.html, in a browser"), "{}", lines[reached + 2]);
    assert!(lines[reached + 2].starts_with("look    "));
}

#[test]
fn no_color_leaves_the_table_and_takes_the_colours() {
    let Some(shown) = on_terminal(false, "template", &TEMPLATE) else { return };
    assert_eq!(styles(&shown), [""; 0], "{shown}");
    let lines = lines(&shown);
    assert!(lines.iter().any(|line| line.trim_start().starts_with("iteration")), "{shown}");
    assert!(lines.iter().any(|line| line.starts_with("reached 300 iterations in ")), "{shown}");
}

#[test]
fn what_is_shown_on_a_terminal_can_be_chosen() {
    let shown = |log: &str| on_terminal(true, "ihead_basic", &[&SMALL[..], &MORE, &[log]].concat());
    let Some(quiet) = shown("log=quiet") else { return };
    assert_eq!(lines(&quiet), [""; 0], "{quiet}");
    // every number in the paper's lines, few in the table
    let paper = lines(&shown("log=paper").unwrap());
    let last = paper.iter().rfind(|line| line.starts_with("15 (")).unwrap();
    assert!(["loss: ", "acc_end_test: ", "wk0_64_acc: "].iter().all(|name| last.contains(name)), "{last}");
    assert!(!paper.iter().any(|line| line.trim_start().starts_with("iteration")), "{paper:?}");
    let auto = lines(&shown("log=auto").unwrap());
    assert!(auto.iter().any(|line| line.trim_start().starts_with("iteration       loss")), "{auto:?}");
    assert!(!auto.iter().any(|line| line.starts_with("15 (")), "{auto:?}");
}

#[test]
fn elsewhere_lines_are_plain_and_no_bar_is_drawn() {
    let output = run("ihead_basic", &line(&[&SMALL[..], &MORE, &["log=auto"]].concat()));
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{out}");
    assert!(out.is_ascii() && !out.contains(['\x1b', '\r']), "{out}");
    // of iterations 0, 5, 10, 15
    assert!(out.lines().all(|line| line.contains(" (") && line.contains("loss: ")), "{out}");
    assert_eq!(out.lines().count(), 4, "{out}");
}
