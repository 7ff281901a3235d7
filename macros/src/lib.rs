//! The derives of ihead, and `recall!`. Each lives in a folder of its own: syntax, attributes, validation, expansion.
use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod config;
mod module;
mod nearest;
mod recall;

/// Settings from a command line or a file: `ihead::config` describes the attributes.
///
/// On a struct with named fields it implements `ihead::config::Config`, on an enum whose variants carry nothing
/// `ihead::config::FieldType`.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    config::derive(&parse_macro_input!(input as DeriveInput)).into()
}

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

/// A memory recall, an `ihead::probe::Recall`, whose text is read when the program is compiled.
///
/// `recall!("wo1: tok_embeddings -> layers.1.attention.wv -> layers.1.attention.wo -> output => self")`
#[proc_macro]
pub fn recall(input: TokenStream) -> TokenStream {
    recall::expand(input.into()).into()
}
