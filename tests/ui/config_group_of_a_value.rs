use ihead::Config;

#[derive(Config)]
struct Args {
    #[config(group)]
    depth: usize,
}

fn main() {}
