//! `recall!`.
use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// The recall, or what its text should have been.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let Ok(text) = syn::parse2::<LitStr>(input.clone()) else {
        let message = "expected a text in quotes, as in \
            `recall!(\"copies: tok_embeddings -> output => self\")`; a text with names that are known when the program \
            runs is read by `format!(..).parse::<Recall>()`";
        return syn::Error::new_spanned(input, message).into_compile_error();
    };
    match ihead_formula::recall(&text.value()) {
        Ok(_) => quote!(::ihead::probe::Recall::checked(#text)),
        Err(problem) => syn::Error::new(text.span(), problem).into_compile_error(),
    }
}
