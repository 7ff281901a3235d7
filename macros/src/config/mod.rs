//! `#[derive(Config)]`.
//!
//! `attributes` reads what is written in `#[config(...)]`, `validate` turns it into the types of `syntax` and says
//! everything that is wrong, `expand` writes the impls and cannot fail, `fallback` writes stubs after an error.

mod attributes;
mod enums;
mod errors;
mod expand;
mod fallback;
mod fields;
mod literal;
mod shape;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro2::TokenStream;
use syn::DeriveInput;

/// The attributes of a struct.
const ON_STRUCT: [&str; 4] = ["validate", "warn", "derive", "derived"];

/// The impls for `input`, or its errors and stubs.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match validate::validate(input) {
        Ok(syntax::Input::Struct(input)) => expand::expand_struct(&input),
        Ok(syntax::Input::Enum(input)) => expand::expand_enum(&input),
        Err(errors) => {
            let stub = fallback::stub(input);
            let errors = errors.into_compile_error();
            quote::quote!(#errors #stub)
        }
    }
}
