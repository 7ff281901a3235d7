use ihead::Module;
use ihead::nn::Param;

type Matrix = Param<(usize, usize)>;

#[derive(Module)]
struct TwoRoles {
    #[param]
    #[buffer]
    weight: Matrix,
    #[param]
    #[param]
    bias: Matrix,
}

#[derive(Module)]
#[param]
struct OnTheType {
    #[param]
    weight: Matrix,
}

#[derive(Module)]
#[module]
struct BareOnTheType {
    #[param]
    weight: Matrix,
}

fn main() {}
