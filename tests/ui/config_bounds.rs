use ihead::Config;

#[derive(Config)]
struct Args {
    #[config(default = 0, min = 1)]
    depth: usize,
    #[config(default = 1, min = 3, max = 2)]
    width: usize,
    #[config(default = 1.0, min = 0.0, above = 0.0)]
    rate: f64,
    #[config(default = "a", min = 1)]
    name: String,
    #[config(default = 1, max = LIMIT)]
    height: usize,
    #[config(default = 1, nan)]
    length: usize,
    #[config(default = [1, 10], max = 9)]
    layers: Vec<usize>,
}

fn main() {}
