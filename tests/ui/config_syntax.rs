//! What cannot be read in an attribute is one error, where it stands.
use ihead::Config;

#[derive(Config)]
struct Inner {
    #[config(default 3)]
    depth: usize,
    #[config(default = 3 min = 1)]
    width: usize,
    #[config("default")]
    height: usize,
    #[config = 3]
    length: usize,
}

#[derive(Config)]
struct Outer {
    #[config(group, default(depth))]
    first: Inner,
    #[config(group, default(depth = ))]
    second: Inner,
    #[config(group, default(depth = 1, width = 2, depth = 3))]
    third: Inner,
    #[config(default = 1, applies = "other = 2")]
    seed: u64,
    #[config(default = 2)]
    other: u64,
}

fn main() {}
