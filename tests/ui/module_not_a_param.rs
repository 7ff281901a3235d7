use ihead::Module;
use ihead::nn::Linear;

#[derive(Module)]
struct Model {
    #[param]
    weight: f32,
    #[buffer]
    map: Linear<usize, usize>,
}

fn main() {}
