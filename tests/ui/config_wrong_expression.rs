use ihead::Config;

const DEPTH: i64 = 3;

#[derive(Config)]
struct Args {
    #[config(default = DEPTH)]
    depth: usize,
}

fn main() {}
