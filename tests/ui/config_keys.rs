use ihead::Config;

#[derive(Config)]
struct Args {
    #[config(default = 1)]
    depth: usize,
    #[config(default = 1, rename = "depth")]
    height: usize,
    #[config(default = 1, rename = "a.b")]
    width: usize,
    #[config(default = 1, rename = "")]
    length: usize,
}

fn main() {}
