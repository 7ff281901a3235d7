use ihead::Config;

#[derive(Config)]
struct Inner {
    #[config(default = 1)]
    depth: usize,
}

#[derive(Config)]
struct Args {
    #[config(default = true)]
    use_sgd: bool,
    #[config(default = 0.9, applies = "use_sdg=true")]
    momentum: f64,
    #[config(default = 0.9, applies = "use_sgd")]
    nesterov: f64,
    #[config(default = 0.9, applies = "use_sgd=yes")]
    damping: f64,
    #[config(default = 0.9, applies = "decay=1")]
    decay: f64,
    #[config(default = 0.9, applies = "inner=1")]
    inside: f64,
    #[config(default = 0.9, applies = "use_sgd==true")]
    twice: f64,
    #[config(default = 0.9, applies = true)]
    untexted: f64,
    #[config(group)]
    inner: Inner,
}

fn main() {}
