//! Literals as defaults and bounds.

use quote::{ToTokens, quote};
use syn::{Expr, ExprUnary, Lit, LitFloat, Type, UnOp, parse_quote};

use super::shape::Shape;

/// `expr` without the invisible parentheses in which a macro puts its fragments, such as `$value:expr`, where nothing but
/// literals is in them.
pub(super) fn bare(expr: Expr) -> Expr {
    match expr {
        Expr::Group(fragment) => bare(*fragment.expr),
        Expr::Array(mut array) => {
            array.elems = array.elems.into_iter().map(bare).collect();
            Expr::Array(array)
        }
        Expr::Unary(mut unary) => match (*unary.expr, &unary.op) {
            (inner @ Expr::Group(_), UnOp::Neg(_)) => {
                let literal = bare(inner.clone());
                let inner = if matches!(literal, Expr::Lit(_)) { literal } else { inner };
                Expr::Unary(ExprUnary { expr: Box::new(inner), ..unary })
            }
            (inner, _) => {
                *unary.expr = inner;
                Expr::Unary(unary)
            }
        },
        _ => expr,
    }
}

/// The number that a literal with or without a minus is.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => number(&unary.expr).map(|number| -number),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(integer) => integer.base10_parse().ok(),
            Lit::Float(float) => float.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Why the literal `expr` is no value of `ty`; nothing when it is one, or when only the compiler can tell.
pub(super) fn objection(ty: &Type, expr: &Expr) -> Option<String> {
    let shape = Shape::of(ty);
    match (&shape, expr) {
        (Shape::Optional(inner), _) => return objection(inner, expr),
        (Shape::List(inner), Expr::Array(array)) => {
            return array.elems.iter().find_map(|item| objection(inner, item));
        }
        _ => {}
    }
    let found = describe(expr)?;
    let fits = match shape {
        Shape::Bool => found == "true or false",
        Shape::Integer { signed } => found == "an integer" || (signed && found == "a negative integer"),
        Shape::Float => found.contains("number") || found.contains("integer"),
        Shape::Text => found == "a text",
        Shape::List(_) => false,
        Shape::Optional(_) | Shape::Other => true,
    };
    let example =
        shape.example().map_or(String::new(), |example| format!(": write for example `default = {example}`"));
    (!fits).then(|| format!("the field is of type `{}`, but the default is {found}{example}", name(ty)))
}

/// What kind of literal `expr` is; nothing if it is no literal.
fn describe(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match describe(&unary.expr)? {
            "an integer" => Some("a negative integer"),
            other => Some(other),
        },
        Expr::Array(_) => Some("a list"),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(_) => Some("a text"),
            Lit::Int(_) => Some("an integer"),
            Lit::Float(_) => Some("a number with a fraction"),
            Lit::Bool(_) => Some("true or false"),
            Lit::Char(_) => Some("a character"),
            Lit::ByteStr(_) | Lit::CStr(_) | Lit::Byte(_) => Some("bytes"),
            _ => None,
        },
        _ => None,
    }
}

/// `expr` as a value of `ty`: literals are converted, in lists and options too.
pub(super) fn convert(ty: &Type, expr: &Expr) -> Expr {
    match (Shape::of(ty), expr) {
        (Shape::Optional(_), Expr::Path(_) | Expr::Call(_) | Expr::MethodCall(_)) => expr.clone(),
        (Shape::Optional(inner), _) => {
            let value = convert(inner, expr);
            parse_quote!(::core::option::Option::Some(#value))
        }
        (Shape::List(inner), Expr::Array(array)) => {
            let items = array.elems.iter().map(|item| convert(inner, item));
            parse_quote!(::std::vec![#(#items),*])
        }
        (Shape::Float, _) => float(expr),
        (_, Expr::Lit(literal)) if matches!(literal.lit, Lit::Str(_)) => {
            parse_quote!(::core::convert::From::from(#literal))
        }
        _ => expr.clone(),
    }
}

/// An integer literal as a floating-point one.
fn float(expr: &Expr) -> Expr {
    match expr {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            let inner = float(&unary.expr);
            parse_quote!(-#inner)
        }
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(integer) if integer.suffix().is_empty() => {
                let float = LitFloat::new(&format!("{}.0", integer.base10_digits()), integer.span());
                parse_quote!(#float)
            }
            _ => expr.clone(),
        },
        _ => expr.clone(),
    }
}

/// A type as one would write it.
pub(super) fn name(ty: &Type) -> String {
    let tokens = ty.to_token_stream();
    quote!(#tokens)
        .to_string()
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" :: ", "::")
        .replace(" ,", ",")
}
