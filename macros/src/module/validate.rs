//! From the syntax tree to what the derive understands; every mistake is reported, each at its own span.
use syn::{Data, DataEnum, DataStruct, DeriveInput, Fields};

use super::attributes::{ROLES, aliases, role, roles};
use super::syntax::{Field, Input, Variant};

/// What the derive is to write, or all mistakes.
pub(super) fn validate(input: &DeriveInput) -> Result<Input, syn::Error> {
    let mut errors = Vec::new();
    let mut module = Input { aliases: aliases(&input.attrs, &mut errors), ..Input::default() };
    match &input.data {
        Data::Struct(data) => fields(data, &mut module, &mut errors),
        Data::Enum(data) => variants(data, &mut module, &mut errors),
        Data::Union(data) => {
            let message = "a module is a struct or an enum, not a union: write `struct`";
            errors.push(syn::Error::new_spanned(data.union_token, message));
        }
    }
    let combined = errors.into_iter().reduce(|mut all, next| {
        all.combine(next);
        all
    });
    combined.map_or(Ok(module), Err)
}

fn fields(data: &DataStruct, module: &mut Input, errors: &mut Vec<syn::Error>) {
    if let Fields::Unnamed(unnamed) = &data.fields {
        let message = "a module has named fields, `{ weight: ... }`: their names are those of the parameters";
        errors.push(syn::Error::new_spanned(unnamed, message));
        return;
    }
    for field in &data.fields {
        // the fields are named here
        let Some(ident) = &field.ident else { continue };
        let Some((role, name)) = role(&field.attrs, ident, errors) else { continue };
        if let Some(before) = module.fields.iter().find(|before| before.name == name) {
            let message =
                format!("`{name}` in the state dict is the field `{}` already: rename one", before.ident);
            errors.push(syn::Error::new_spanned(ident, message));
        }
        module.fields.push(Field { ident: ident.clone(), ty: field.ty.clone(), role, name });
    }
}

fn variants(data: &DataEnum, module: &mut Input, errors: &mut Vec<syn::Error>) {
    if let Some(path) = &module.aliases {
        let message =
            "an enum has no names of its own: give the aliases on the structs that its variants hold";
        errors.push(syn::Error::new_spanned(path, message));
    }
    for variant in &data.variants {
        let inside = variant.fields.iter().flat_map(|field| &field.attrs);
        for (attribute, _) in variant.attrs.iter().chain(inside).flat_map(|a| roles(std::slice::from_ref(a)))
        {
            let message = format!("a variant has no role, its module has one for each field: {ROLES}");
            errors.push(syn::Error::new_spanned(attribute, message));
        }
        let ident = variant.ident.clone();
        match &variant.fields {
            Fields::Unit => module.empty_variants.push(ident),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                module.variants.extend(
                    fields.unnamed.iter().map(|f| Variant { ident: ident.clone(), ty: f.ty.clone() }),
                );
            }
            other => errors.push(syn::Error::new_spanned(
                if other.is_empty() { quote::quote!(#variant) } else { quote::quote!(#other) },
                format!("a variant holds one module, as in `{ident}(Linear<D, D>)`, or nothing"),
            )),
        }
    }
}
