//! A method of another type is an error at its name; a lifetime may have any name.
use ihead::prelude::*;

#[derive(Module)]
#[module(aliases = Self::names)]
struct Tied<'visit> {
    #[param]
    weight: Param<(Const<3>,)>,
    name: &'visit str,
}

impl Tied<'_> {
    fn names(&self) -> Vec<&'static str> {
        vec![self.name.len().to_string().leak()]
    }
}

fn main() {}
