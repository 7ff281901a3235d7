use ihead::Config;

#[derive(Config)]
struct OptimArgs {
    #[config(min = 0.0)]
    learning_rate: f64,
    #[config(default = 0.9, applies = "learning_rate!=0")]
    momentum: f64,
}

#[derive(Config)]
struct Args {
    optim_args: OptimArgs,
    max_iters: Option<usize>,
    layers: Vec<usize>,
}

fn main() {
    let _ = Args::schema();
}
