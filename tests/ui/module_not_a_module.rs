use ihead::Module;
use ihead::nn::Param;

struct Plain;

#[derive(Module)]
struct Model<A> {
    #[module]
    plain: Plain,
    #[module]
    weight: Param<(usize, usize)>,
    #[module]
    attention: A,
}

#[derive(Module)]
enum Choice {
    Plain(Plain),
}

fn main() {}
