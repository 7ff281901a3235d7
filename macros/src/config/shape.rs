//! What a type's name says about the values that it takes.

use syn::{GenericArgument, PathArguments, Type};

/// The values of a type, as far as its name tells; the compiler has the last word.
pub(super) enum Shape<'a> {
    Bool,
    Integer { signed: bool },
    Float,
    Text,
    Optional(&'a Type),
    List(&'a Type),
    Other,
}

impl<'a> Shape<'a> {
    pub fn of(ty: &'a Type) -> Self {
        let path = match ty {
            Type::Path(path) => path,
            Type::Group(fragment) => return Self::of(&fragment.elem), // `$ty` of a macro
            _ => return Self::Other,
        };
        let Some(last) = path.path.segments.last() else { return Self::Other };
        match (last.ident.to_string().as_str(), &last.arguments) {
            ("bool", PathArguments::None) => Self::Bool,
            ("u8" | "u16" | "u32" | "u64" | "usize", PathArguments::None) => Self::Integer { signed: false },
            ("i8" | "i16" | "i32" | "i64" | "isize", PathArguments::None) => Self::Integer { signed: true },
            ("f32" | "f64", PathArguments::None) => Self::Float,
            ("String" | "PathBuf", PathArguments::None) => Self::Text,
            ("Option", PathArguments::AngleBracketed(inner)) => match inner.args.first() {
                Some(GenericArgument::Type(inner)) => Self::Optional(inner),
                _ => Self::Other,
            },
            ("Vec", PathArguments::AngleBracketed(inner)) => match inner.args.first() {
                Some(GenericArgument::Type(inner)) => Self::List(inner),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    /// The shape inside lists and options.
    pub fn innermost(ty: &'a Type) -> Self {
        match Self::of(ty) {
            Self::Optional(inner) | Self::List(inner) => Self::innermost(inner),
            shape => shape,
        }
    }

    /// What a default of this shape looks like, if that is known.
    pub fn example(&self) -> Option<&'static str> {
        match self {
            Self::Bool => Some("false"),
            Self::Integer { .. } => Some("1"),
            Self::Float => Some("0.1"),
            Self::Text => Some("\"\""),
            Self::List(_) => Some("[]"),
            Self::Optional(_) | Self::Other => None,
        }
    }
}
