//! The recorded cases on every instruction set: each runs in a process of its own, as the level is read once.
use std::process::Command;

use ihead::internals::kernels::Level;

#[test]
fn the_level_is_the_one_that_the_environment_asks_for_or_the_best() {
    let asked = std::env::var("IHEAD_SIMD").map(|name| name.parse().unwrap());
    assert_eq!(Level::current(), asked.unwrap_or(Level::best()));
}

#[test]
fn recorded_cases_pass_at_lower_levels() {
    let tests = [
        "golden::first_steps_are_those_of_the_papers_program",
        "levels::the_level_is_the_one_that_the_environment_asks_for_or_the_best",
    ];
    for (name, level) in [("portable", Level::Portable), ("avx2", Level::Avx2)] {
        if level == Level::best() || !level.is_available() {
            continue; // the best one runs in this process
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.env("IHEAD_SIMD", name).arg("--exact").args(tests).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("2 passed"), "{name}: {text}");
    }
}
