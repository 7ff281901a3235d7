use ihead::Module;
use ihead::nn::{Linear, Param};

type Matrix = Param<(usize, usize)>;

#[derive(Module)]
struct OneNameTwice {
    #[param]
    weight: Matrix,
    #[param(rename = "weight")]
    again: Matrix,
    #[module(rename = "weight")]
    third: Linear<usize, usize>,
}

fn main() {}
