//! The recorded cases on every instruction set: each runs in a process of its own, as the level is read once.
use std::process::Command;

use ihead::kernels::Level;

#[path = "golden.rs"]
mod golden;

#[test]
fn the_level_is_the_one_that_the_environment_asks_for() {
    if let Ok(name) = std::env::var("IHEAD_SIMD") {
        assert_eq!(Level::current(), name.parse().unwrap());
    }
}

#[test]
fn recorded_cases_pass_at_lower_levels() {
    for (name, level) in [("portable", Level::Portable), ("avx2", Level::Avx2)] {
        if !level.is_available() {
            continue;
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env("IHEAD_SIMD", name).args(["first_steps", "the_level_is"]);
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("2 passed"), "{name}: {text}");
    }
}
