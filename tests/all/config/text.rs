//! The texts of `--help` and `--explain`.

use super::printed;

#[test]
fn help() {
    insta::assert_snapshot!(printed(&["--help", "nonsense"]));
    assert_eq!(printed(&["-h"]), printed(&["--help"]));
}

#[test]
fn explain() {
    insta::assert_snapshot!(printed(&["--explain", "max_iters=1e3", "save_dir=''"]));
}
