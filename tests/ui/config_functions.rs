//! A function of another type is an error at its name.
use ihead::Config;

#[derive(Config)]
#[config(validate = check, warn = Self::warn, derive = nothing)]
struct Args {
    #[config(default = 3)]
    depth: usize,
}

fn check(_: &Args) -> Vec<String> {
    Vec::new()
}

impl Args {
    fn warn(self) -> Vec<ihead::config::Problem> {
        Vec::new()
    }
}

fn nothing(_: &Args) {}

fn main() {}
