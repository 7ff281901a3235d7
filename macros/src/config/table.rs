//! The settings of a struct as a table for its documentation, which does not show attributes.

use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, Token};

use super::syntax::{Bound, Enum, Field, Role, Setting, Struct};

/// A row for each field: its key, its default, and what it may be.
pub(super) fn of_struct(input: &Struct) -> String {
    let rows = input.fields.iter().map(row);
    let table =
        rows.fold(String::from("| setting | default | bounds |\n|---|---|---|\n"), |t, row| t + &row + "\n");
    format!(
        "The settings and their defaults, which [`defaults`](::ihead::config::Config::defaults) returns:\n\n{table}"
    )
}

/// The names of the variants, as they are written on a command line.
pub(super) fn of_enum(input: &Enum) -> String {
    let names: Vec<String> = input.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
    format!("As a setting, one of {}.", names.join(", "))
}

fn row(Field { key, role, .. }: &Field) -> String {
    match role {
        Role::Setting(setting) => format!("| `{key}` | {} | {} |", value(&setting.default), bounds(setting)),
        Role::Group(given) if given.is_empty() => format!("| `{key}.*` | those of the section | |"),
        Role::Group(_) => format!("| `{key}.*` | those of the section, some of them changed | |"),
        Role::Flatten(_) => format!("| | those of the field `{key}` | |"),
    }
}

fn bounds(Setting { bounds, applies, .. }: &Setting) -> String {
    let words = |Bound { method, value }: &Bound| match method.to_string().as_str() {
        "min" => format!("at least {value}"),
        "max" => format!("at most {value}"),
        method => format!("{method} {value}"),
    };
    let applies = applies.iter().map(|when| format!("has an effect if `{}`", when.value()));
    bounds.iter().map(words).chain(applies).collect::<Vec<_>>().join("; ")
}

/// A default as it is written, without what the derive has put around it.
fn value(default: &Expr) -> String {
    match default {
        Expr::Call(call) if call.args.len() == 1 && ["from", "Some"].contains(&last(&call.func).as_str()) => {
            value(&call.args[0])
        }
        Expr::Macro(list) => {
            match Punctuated::<Expr, Token![,]>::parse_terminated.parse2(list.mac.tokens.clone()) {
                Ok(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
                Err(_) => "a list".into(),
            }
        }
        Expr::Path(_) if last(default) == "None" => "none".into(),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => format!("`{:?}`", text.value()).replace('|', "\\|"),
            other => format!("`{}`", other.to_token_stream()),
        },
        other => format!("`{}`", other.to_token_stream().to_string().replace(' ', "")),
    }
}

/// The last name of a path.
fn last(path: &Expr) -> String {
    let Expr::Path(path) = path else { return String::new() };
    path.path.segments.last().map_or_else(String::new, |segment| segment.ident.to_string())
}
