//! `#[derive(Module)]`.
//!
//! `syntax` holds what the derive understands, `validate` reads the attributes and says everything that is wrong,
//! `expand` writes the impl and cannot fail, and writes an empty one after an error.
mod expand;
mod syntax;
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
