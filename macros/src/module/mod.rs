//! `#[derive(Module)]`.
//!
//! `syntax` holds what the derive understands, `attributes` reads `#[param]`, `#[buffer]` and `#[module]`, `validate`
//! says everything that is wrong, `expand` writes the impl and cannot fail, and writes an empty one after an error.
mod attributes;
mod expand;
mod syntax;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro2::TokenStream;
use syn::DeriveInput;

/// The impl for `input`, or its errors and an empty impl.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match validate::validate(input) {
        Ok(module) => expand::expand(input, &module),
        Err(errors) => {
            let stub = expand::expand(input, &syntax::Input::default());
            let errors = errors.into_compile_error();
            quote::quote!(#errors #stub)
        }
    }
}
