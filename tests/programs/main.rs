//! The example programs from outside. They must be built:
//! `cargo test` does it, `cargo test --test programs` by itself does not.
mod bad_input;
mod collect;
mod faults;
mod looks;
// more than these tests read
#[allow(dead_code)]
#[path = "../../examples/parity/case.rs"]
mod case;
#[path = "../all/common/npz.rs"]
mod npz;
mod paper;
mod probe;
mod process;
mod settings;
mod sweep;
mod terminal;
