//! The derives of ihead. Each lives in a folder of its own: syntax, attributes, validation, expansion.
use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod module;

/// Named parameters: implements `ihead::nn::Module`.
///
/// On a struct with named fields, each field has a role: `#[param]` (a `Param` that trains unless it is frozen),
/// `#[buffer]` (a `Param` that never trains), `#[module]` (a module, or an `Option` or `Vec` of one), or none: then it
/// is left alone. `rename = "name"` gives it another name in the state dict. On an enum whose variants hold a module
/// or nothing, the names are those of the module.
#[proc_macro_derive(Module, attributes(param, buffer, module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    module::derive(&parse_macro_input!(input as DeriveInput)).into()
}
