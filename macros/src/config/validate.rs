//! From what was written to a configuration, or to everything that is wrong with it.

use syn::ext::IdentExt;
use syn::{Data, DataStruct, DeriveInput, Fields, LitStr};

use super::attributes::{Entries, help};
use super::errors::Errors;
use super::syntax::{Input, Struct};
use super::{enums, fields};

/// The configuration, or all mistakes.
pub(super) fn validate(input: &DeriveInput) -> Result<Input, syn::Error> {
    let mut errors = Errors::default();
    if !input.generics.params.is_empty() {
        errors.at(
            &input.generics,
            "a configuration has no parameters: its types must be known to write its help",
        );
    }
    let checked = match &input.data {
        Data::Struct(data) => Some(Input::Struct(validate_struct(input, data, &mut errors))),
        Data::Enum(data) => Some(Input::Enum(enums::validate(input, data, &mut errors))),
        Data::Union(data) => {
            errors.at(
                data.union_token,
                "a configuration is a struct of settings, or an enum as a choice of names",
            );
            None
        }
    };
    match errors.finish(checked)? {
        Some(checked) => Ok(checked),
        None => Err(syn::Error::new_spanned(&input.ident, "a configuration is a struct or an enum")),
    }
}

fn validate_struct(input: &DeriveInput, data: &DataStruct, errors: &mut Errors) -> Struct {
    let mut entries = Entries::of(&input.attrs, &super::ON_STRUCT, errors);
    let [validate, warn, derive] = ["validate", "warn", "derive"].map(|name| entries.path(name, errors));
    let derived = entries.texts("derived", errors);
    let fields = match &data.fields {
        Fields::Named(named) => {
            let checked: Vec<_> =
                named.named.iter().filter_map(|field| fields::field(field, errors)).collect();
            let written = named.named.iter().filter_map(key).collect::<Vec<_>>();
            fields::together(&checked, &written, errors);
            checked
        }
        Fields::Unnamed(unnamed) => {
            errors.at(
                unnamed,
                "a configuration has named fields, because the names are the keys: write `{ name: Type }`",
            );
            Vec::new()
        }
        Fields::Unit => Vec::new(),
    };
    Struct { ident: input.ident.clone(), help: help(&input.attrs), validate, warn, derive, derived, fields }
}

/// The key of a field, whatever else may be wrong with it.
fn key(field: &syn::Field) -> Option<String> {
    let ident = field.ident.as_ref()?;
    // Mistakes in the attributes are noted where the field is validated.
    let rename =
        Entries::of(&field.attrs, &["rename"], &mut Errors::default()).text("rename", &mut Errors::default());
    Some(rename.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value))
}
