mod inner;
pub mod prelude;

pub mod shapes {
    pub use crate::inner::solid::{Kind, Shape};
    pub use crate::inner::*;
}

#[doc(hidden)]
pub mod hidden {
    pub fn nobody_sees() {}
}

pub use elsewhere::Thing;

pub trait Named: Sized {
    fn name(&self) -> String;
}
