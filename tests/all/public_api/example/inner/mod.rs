pub(crate) mod solid;

use solid::Shape;

pub fn area(shape: &Shape) -> f64 {
    shape.side * shape.side
}

pub(crate) fn own() {}
