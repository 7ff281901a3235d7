use ihead::Config;

#[derive(Config)]
struct OptimArgs {
    #[config(default = 0.2)]
    learning_rate: f64,
    #[config(default = 512)]
    batch_size: usize,
}

#[derive(Config)]
struct Args {
    #[config(group, default(learning_rat = 3e-4, batch_size = 0.5))]
    optim_args: OptimArgs,
}

fn main() {}
