//! `#[param]`, `#[buffer]` and `#[module]`: the role of a field, and the options in parentheses.
use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Meta, Path, Token};

use crate::nearest::nearest;

use super::syntax::Role;

/// What the roles are, as the end of a message.
pub(super) const ROLES: &str = "a field is `#[param]` (a Param that trains), `#[buffer]` (a Param that never trains) \
                                or `#[module]` (a module of its own); without an attribute it is left alone";

/// The attributes that are the derive's, each with its role.
pub(super) fn roles(attributes: &[Attribute]) -> impl Iterator<Item = (&Attribute, Role)> {
    attributes.iter().filter_map(|attribute| {
        let role = match attribute.path().get_ident()?.to_string().as_str() {
            "param" => Role::Param,
            "buffer" => Role::Buffer,
            "module" => Role::Module,
            _ => return None,
        };
        Some((attribute, role))
    })
}

/// The role and the name in the state dict that its attributes give the field `ident`.
pub(super) fn role(
    attributes: &[Attribute],
    ident: &Ident,
    errors: &mut Vec<syn::Error>,
) -> Option<(Role, String)> {
    let mut found = None;
    for (attribute, role) in roles(attributes) {
        if found.is_some() {
            errors.push(syn::Error::new_spanned(attribute, format!("`{ident}` has two roles: {ROLES}")));
            continue;
        }
        let name = rename(attribute, errors).unwrap_or_else(|| ident.unraw().to_string());
        found = Some((role, name));
    }
    found
}

/// `rename = "name"` of a field's attribute.
fn rename(attribute: &Attribute, errors: &mut Vec<syn::Error>) -> Option<String> {
    let mut name = None;
    options(attribute, "rename", errors, |meta| {
        let text: LitStr = meta.value()?.parse()?;
        if text.value().split('.').any(str::is_empty) {
            return Err(syn::Error::new_spanned(text, "a name of the state dict has no empty part"));
        }
        name = Some(text.value());
        Ok(())
    });
    name
}

/// `#[module(aliases = path)]` on the type itself.
pub(super) fn aliases(attributes: &[Attribute], errors: &mut Vec<syn::Error>) -> Option<Path> {
    let mut aliases: Option<Path> = None;
    for (attribute, role) in roles(attributes) {
        if role != Role::Module || matches!(attribute.meta, Meta::Path(_)) {
            errors.push(syn::Error::new_spanned(attribute, format!("this belongs to a field: {ROLES}")));
            continue;
        }
        options(attribute, "aliases", errors, |meta| {
            if aliases.is_some() {
                return Err(meta.error("`aliases` is given twice"));
            }
            aliases = Some(method(meta.value()?)?);
            Ok(())
        });
    }
    aliases
}

/// The path of a method, with nothing behind it but another option.
fn method(value: ParseStream<'_>) -> syn::Result<Path> {
    let ahead = value.fork();
    if ahead.parse::<Path>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,])) {
        return value.parse();
    }
    let found: TokenStream = value.parse()?;
    Err(syn::Error::new_spanned(found, "expected the path of a method, as in `aliases = Self::aliases`"))
}

/// Reads the options in an attribute's parentheses, of which `known` is the only one and may be there once.
fn options(
    attribute: &Attribute,
    known: &str,
    errors: &mut Vec<syn::Error>,
    mut read: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    if matches!(attribute.meta, Meta::Path(_)) {
        return;
    }
    let mut seen = false;
    let parsed = attribute.parse_nested_meta(|meta| {
        if !meta.path.is_ident(known) {
            return Err(unknown(&meta, known));
        }
        if std::mem::replace(&mut seen, true) {
            return Err(meta.error(format!("`{known}` is given twice")));
        }
        read(meta)
    });
    errors.extend(parsed.err());
}

/// The message about an option that is not `known`.
fn unknown(meta: &ParseNestedMeta<'_>, known: &str) -> syn::Error {
    let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    let mend = match name.as_str() {
        "frozen" => "a parameter is frozen where it is made, as in `Param::new(shape, init).frozen()`".into(),
        "aliases" => "`aliases` belongs to the struct: `#[module(aliases = Self::method)]` above it".into(),
        "rename" => "`rename` belongs to a field: `#[param(rename = \"name\")]`".into(),
        _ if nearest(&name, [known]).is_some() => format!("unknown option `{name}`: did you mean `{known}`?"),
        _ if known == "rename" => "the only option here is `rename = \"name\"`".into(),
        _ => "the only option here is `aliases = Self::method`".into(),
    };
    meta.error(mend)
}
