use ihead::Module;
use ihead::nn::{Linear, Param};

#[derive(Module)]
union Either {
    first: u32,
    second: f32,
}

#[derive(Module)]
struct Unnamed(#[param] Param<(usize, usize)>);

#[derive(Module)]
#[module(aliases = Self::aliases)]
enum Variants {
    Two(Linear<usize, usize>, Linear<usize, usize>),
    Named { map: Linear<usize, usize> },
    #[module]
    Marked(Linear<usize, usize>),
    Inside(#[param] Param<(usize, usize)>),
    Nothing {},
}

fn main() {}
