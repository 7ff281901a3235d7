use crate::Named;

#[derive(Clone)]
#[non_exhaustive]
pub enum Kind {
    Round,
    Square(f64),
}

pub struct Shape {
    pub kind: Kind,
    side: f64,
}

impl Shape {
    pub fn new(side: f64) -> Shape {
        Shape { kind: Kind::Round, side }
    }

    pub fn sides(&self) -> &[f64] {
        &[]
    }

    #[doc(hidden)]
    pub fn hidden(&self) {}

    fn own(&self) {}
}

impl Named for Shape {
    fn name(&self) -> String {
        "shape".into()
    }
}

trait Private {}

impl Private for Shape {}
