pub use crate::shapes::Shape;
