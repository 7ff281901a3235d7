//! The macros of ihead: `#[derive(Config)]`, `#[derive(Module)]` and `recall!`. Use them through the crate `ihead`, which
//! exports them. What they write names that crate `::ihead`: where a manifest renames it, `extern crate new_name as ihead;` makes
//! this name known. All other names in it are paths from a crate's root, so that no type, trait or macro of yours is meant instead, and no
//! prelude is needed.
//!
//! Each derive lives in a folder of its own: syntax, attributes, validation, expansion.
use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod config;
mod module;
mod nearest;
mod recall;

/// Keeps an impl out of the lists of types in the compiler's messages. Those of the library would stand there instead of `Vec<M>` or
/// `bool`. A user's has no such attribute: a module with `#[no_implicit_prelude]` does not know the tool that it is of, and no path leads
/// to it.
fn not_recommended() -> Option<proc_macro2::TokenStream> {
    let of_the_library = std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "ihead");
    of_the_library.then(|| quote::quote!(#[diagnostic::do_not_recommend]))
}

/// Makes the fields of a struct settings, which are read from a command line or a file. The documentation of
/// `ihead::config` has an example and describes the attributes `#[config(...)]`.
///
/// On a struct with named fields it implements `ihead::config::Config` and `Default`. On an enum whose variants carry
/// nothing it implements `ihead::config::FieldType`, so that a setting can be a choice among them; the names are in snake
/// case. Doc comments become the help of `--help`.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    config::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Gives the parameters of a struct names: implements `ihead::nn::Module`, whose documentation has an example.
///
/// On a struct with named fields, the attribute of a field says what it holds, and its name is part of the parameters' names:
///
/// | attribute | what the field holds |
/// |---|---|
/// | `#[param]` | a `Param`, or an `Option` of one, which trains unless it is frozen |
/// | `#[buffer]` | a `Param`, or an `Option` of one, which is saved but never trains |
/// | `#[module]` | a module, or an `Option`, `Vec`, array or `Box` of modules |
/// | none | no parameters: the field is left alone |
///
/// `#[param(rename = "name")]`, and likewise of the others, gives a field another name in the state dict. Two names of one
/// parameter (tied weights) are declared on the struct by `#[module(aliases = Self::method)]`; the method returns pairs of
/// names, the new one and the one of the parameter (`ihead::nn::Unembed::aliases` has an example).
///
/// On an enum whose variants hold one module or nothing, the names are those of the module.
#[proc_macro_derive(Module, attributes(param, buffer, module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    module::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Makes a memory recall, an `ihead::probe::Recall`, from a text that is checked when the program is compiled.
///
/// `recall!("wo1: tok_embeddings -> layers.1.attention.wv -> layers.1.attention.wo -> output => self")` is named `wo1`. The
/// rows of `tok_embeddings` go through three maps; the recall is the share of rows `i` whose highest score is at `i`.
/// Whether the weights exist is checked when the recall is evaluated. The crate `ihead-formula` has the grammar; a text
/// that is known only when the program runs is read by `text.parse::<Recall>()`.
#[proc_macro]
pub fn recall(input: TokenStream) -> TokenStream {
    recall::expand(input.into()).into()
}
