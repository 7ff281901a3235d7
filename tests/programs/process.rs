//! Running the example programs.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Settings of a run of the paper's programs that takes less than a second.
pub const SMALL: [&str; 6] = [
    "data_args.k=3",
    "data_args.seq_length=16",
    "optim_args.batch_size=8",
    "test_batch_size=8",
    "num_data_workers=1",
    "model_args.dim=16",
];

/// The built example of this name, which `cargo test` puts beside the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test`, or `cargo build --examples` first",
        path.display()
    );
    path
}

/// Runs it with these arguments.
pub fn run(name: &str, args: &[String]) -> Output {
    Command::new(program(name)).args(args).output().unwrap()
}

/// Its arguments, as strings.
pub fn line(args: &[&str]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}
