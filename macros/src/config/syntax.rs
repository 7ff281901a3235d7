//! A configuration as it was written, with nothing wrong in it.

use syn::{Expr, Ident, LitStr, Path, Type};

pub(super) enum Input {
    Struct(Struct),
    Enum(Enum),
}

/// A struct of settings and sections.
pub(super) struct Struct {
    pub ident: Ident,
    pub help: String,
    pub validate: Option<Path>,
    pub warn: Option<Path>,
    pub derive: Option<Path>,
    pub derived: Vec<LitStr>,
    pub fields: Vec<Field>,
}

pub(super) struct Field {
    pub ident: Ident,
    pub key: String,
    pub help: String,
    pub ty: Type,
    pub role: Role,
}

pub(super) enum Role {
    Setting(Box<Setting>),
    Group(Vec<Override>),
    Flatten(Vec<Override>),
}

pub(super) struct Setting {
    pub default: Expr,
    pub bounds: Vec<Bound>,
    pub nan: bool,
    pub applies: Option<LitStr>,
}

/// `min = 0.0`: the builder's method and the number.
pub(super) struct Bound {
    pub method: Ident,
    pub value: f64,
}

/// `b.c = 2` in a group's `default(...)`.
pub(super) struct Override {
    pub path: Vec<Ident>,
    pub value: Expr,
}

/// A choice of names.
pub(super) struct Enum {
    pub ident: Ident,
    pub variants: Vec<Variant>,
}

pub(super) struct Variant {
    pub ident: Ident,
    pub name: String,
    pub help: String,
}
