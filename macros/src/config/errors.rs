//! Errors, gathered.

use quote::ToTokens;

/// Every mistake found so far, each at its own span.
#[derive(Default)]
pub(super) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds a mistake at `tokens`.
    pub fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake.
    pub fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// `value`, if there was no mistake.
    pub fn finish<T>(self, value: T) -> Result<T, syn::Error> {
        self.0.map_or(Ok(value), Err)
    }
}
