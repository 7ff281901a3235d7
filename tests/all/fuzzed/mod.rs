//! What the fuzzers found and grew from, once more: each file of `tests/corpus/TARGET` through its target. `CONTRIBUTING.md` says
//! how to fuzz.
mod targets;

use std::path::{Path, PathBuf};

use targets::{TARGETS, Target};

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn replay((name, target): (&str, Target)) {
    let files = corpus(name);
    assert!(files.len() > 2, "the corpus of {name} has {} files", files.len());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(bytes.len() < 2000, "{} is larger than what belongs in a repository", file.display());
        // of what panics, the file's name is printed with it
        println!("{}", file.display());
        target(&bytes);
    }
}

#[test]
fn everything_in_the_corpora_is_read_or_refused() {
    for target in TARGETS {
        replay(target);
    }
}

#[test]
fn every_corpus_has_a_target_and_a_program() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpora: Vec<String> = std::fs::read_dir(tests.join("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut names = TARGETS.map(|(name, _)| name.to_owned());
    corpora.sort();
    names.sort();
    assert_eq!(corpora, names);
    for name in names {
        let program = tests.join("../fuzz/fuzz_targets").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(&program).unwrap();
        assert!(text.contains(&format!("targets::{name}(")), "{}", program.display());
    }
}
