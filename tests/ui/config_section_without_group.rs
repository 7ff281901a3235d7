use ihead::Config;

#[derive(Config)]
struct OptimArgs {
    #[config(default = 0.2)]
    learning_rate: f64,
}

#[derive(Config)]
struct Args {
    #[config(default = OptimArgs { learning_rate: 0.1 })]
    optim_args: OptimArgs,
}

fn main() {}
