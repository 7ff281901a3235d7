//! The texts of `--help` and `--explain`.

use super::printed;

#[test]
fn help() {
    insta::assert_snapshot!(printed(&["--help", "nonsense"]));
    assert_eq!(printed(&["-h"]), printed(&["--help"]));
}

#[test]
fn explain() {
    insta::assert_snapshot!(printed(&[
        "--explain",
        "max_iters=1e3",
        "save_dir=null",
        "root_dir=a",
        "names=[x]"
    ]));
}

#[test]
fn json_schema() {
    insta::assert_snapshot!(printed(&["--schema", "max_iters=1e3"]));
}

#[test]
fn completions() {
    insta::assert_snapshot!("bash", printed(&["--completions", "bash"]));
    insta::assert_snapshot!("zsh", printed(&["--completions=zsh"]));
    insta::assert_snapshot!("fish", printed(&["--completions", "fish"]));
}
