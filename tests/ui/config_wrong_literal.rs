use ihead::Config;

#[derive(Config)]
struct Args {
    #[config(default = "abc")]
    depth: usize,
    #[config(default = -1)]
    width: usize,
    #[config(default = 1.5)]
    height: Option<usize>,
    #[config(default = 1)]
    use_sgd: bool,
    #[config(default = 0.1)]
    name: String,
    #[config(default = ["a", 1])]
    names: Vec<String>,
    #[config(default = 3)]
    layers: Vec<usize>,
}

fn main() {}
