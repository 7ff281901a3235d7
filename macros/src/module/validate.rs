//! From the syntax tree to what the derive understands; every mistake is reported, each at its own span.
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Path};

use super::syntax::{Field, Input, Role};

const HELP: &str = "a field is `#[param]` (a Param that trains), `#[buffer]` (a Param that never trains), `#[module]` \
                    (a module of its own), or has no attribute and is left alone";

pub(super) fn validate(input: &DeriveInput) -> Result<Input, syn::Error> {
    let mut errors = Vec::new();
    let mut module = Input { aliases: aliases(&input.attrs, &mut errors), ..Input::default() };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                for field in &fields.named {
                    // named fields have names
                    let Some(ident) = &field.ident else { continue };
                    module.fields.extend(role(&field.attrs, ident, &mut errors));
                }
            }
            other => errors.push(syn::Error::new_spanned(
                if other.is_empty() { quote::quote!(#input) } else { quote::quote!(#other) },
                "a module needs named fields: their names are the names of the parameters",
            )),
        },
        Data::Enum(data) => variants(data, &mut module, &mut errors),
        Data::Union(data) => {
            errors.push(syn::Error::new_spanned(
                data.union_token,
                "a module is a struct or an enum, not a union",
            ));
        }
    }
    for (i, field) in module.fields.iter().enumerate() {
        if module.fields[..i].iter().any(|f| f.name == field.name) {
            let message = format!("two fields are called '{}' in the state dict", field.name);
            errors.push(syn::Error::new_spanned(&field.ident, message));
        }
    }
    let combined = errors.into_iter().reduce(|mut all, next| {
        all.combine(next);
        all
    });
    combined.map_or(Ok(module), Err)
}

fn variants(data: &DataEnum, module: &mut Input, errors: &mut Vec<syn::Error>) {
    for variant in &data.variants {
        match &variant.fields {
            Fields::Unit => module.empty_variants.push(variant.ident.clone()),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                module.variants.push(variant.ident.clone())
            }
            other => errors.push(syn::Error::new_spanned(
                other,
                "a variant of a module holds one module, as in `Linear(Linear<D, D>)`, or nothing",
            )),
        }
        for attribute in
            variant.attrs.iter().filter(|a| a.path().is_ident("param") || a.path().is_ident("buffer"))
        {
            errors.push(syn::Error::new_spanned(
                attribute,
                "a variant has no role: its module says what it holds",
            ));
        }
    }
}

/// The role that a field's attributes give it.
fn role(attributes: &[Attribute], ident: &Ident, errors: &mut Vec<syn::Error>) -> Option<Field> {
    let mut found: Option<Field> = None;
    for attribute in attributes {
        let role = match attribute.path().get_ident().map(ToString::to_string).as_deref() {
            Some("param") => Role::Param,
            Some("buffer") => Role::Buffer,
            Some("module") => Role::Module,
            _ => continue,
        };
        if found.is_some() {
            errors.push(syn::Error::new_spanned(attribute, format!("`{ident}` has two roles; {HELP}")));
            continue;
        }
        let name = rename(attribute, errors).unwrap_or_else(|| plain(ident));
        found = Some(Field { ident: ident.clone(), role, name });
    }
    found
}

/// The name without `r#`.
fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_string()
}

/// `rename = "name"` of a field's attribute.
fn rename(attribute: &Attribute, errors: &mut Vec<syn::Error>) -> Option<String> {
    if matches!(attribute.meta, syn::Meta::Path(_)) {
        return None;
    }
    let mut name = None;
    let parsed = attribute.parse_nested_meta(|meta| {
        if !meta.path.is_ident("rename") {
            return Err(meta.error("the only option here is `rename = \"name\"`"));
        }
        let text: LitStr = meta.value()?.parse()?;
        if text.value().is_empty() || text.value().split('.').any(str::is_empty) {
            return Err(syn::Error::new_spanned(text, "a name of the state dict has no empty part"));
        }
        name = Some(text.value());
        Ok(())
    });
    errors.extend(parsed.err());
    name
}

/// `#[module(aliases = path)]` on the type itself.
fn aliases(attributes: &[Attribute], errors: &mut Vec<syn::Error>) -> Option<Path> {
    let mut aliases = None;
    for attribute in attributes {
        if attribute.path().is_ident("param") || attribute.path().is_ident("buffer") {
            errors.push(syn::Error::new_spanned(attribute, format!("this belongs to a field: {HELP}")));
        }
        if attribute.path().is_ident("module") {
            let parsed = attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("aliases") {
                    return Err(meta.error("the only option of a type is `aliases = method`"));
                }
                aliases = Some(meta.value()?.parse()?);
                Ok(())
            });
            errors.extend(parsed.err());
        }
    }
    aliases
}
