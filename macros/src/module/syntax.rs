//! What the derive understands of its input.
use syn::{Ident, Path, Type};

/// What a field is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `#[param]`
    Param,
    /// `#[buffer]`
    Buffer,
    /// `#[module]`
    Module,
}

/// A field that is visited.
pub(super) struct Field {
    pub ident: Ident,
    pub ty: Type,
    pub role: Role,
    /// The name in the state dict.
    pub name: String,
}

/// A variant that holds one module.
pub(super) struct Variant {
    pub ident: Ident,
    pub ty: Type,
}

/// A struct or an enum of modules.
#[derive(Default)]
pub(super) struct Input {
    pub fields: Vec<Field>,
    /// Variants that hold one module each, whose names are those of the module.
    pub variants: Vec<Variant>,
    /// Variants that hold nothing.
    pub empty_variants: Vec<Ident>,
    /// `#[module(aliases = path)]`: names that stand for other names.
    pub aliases: Option<Path>,
}
