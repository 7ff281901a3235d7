//! The impl of `Module`.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

use super::syntax::{Field, Input, Role};

pub(super) fn expand(input: &DeriveInput, module: &Input) -> TokenStream {
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let (body, body_mut) = (body(module, false), body(module, true));
    quote! {
        #[automatically_derived]
        impl #generics ::ihead::nn::Module for #ident #arguments #bounds {
            fn visit<'visit>(&'visit self, prefix: &str, visitor: &mut ::ihead::nn::Visitor<'visit, '_>) {
                let _ = (&prefix, &visitor);
                #body
            }

            fn visit_mut(&mut self, prefix: &str, visitor: &mut ::ihead::nn::VisitorMut<'_>) {
                let _ = (&prefix, &visitor);
                #body_mut
            }
        }
    }
}

/// The statements of `visit`, or of `visit_mut`.
fn body(module: &Input, mutable: bool) -> TokenStream {
    let fields = module.fields.iter().map(|field| visit(field, mutable));
    let fields = quote!(#(#fields)*);
    let method = if mutable { quote!(visit_mut) } else { quote!(visit) };
    let (full, empty) = (&module.variants, &module.empty_variants);
    let variants = (!full.is_empty() || !empty.is_empty()).then(|| {
        quote! {
            match self {
                #(Self::#full(module) => ::ihead::nn::Module::#method(module, prefix, visitor),)*
                #(Self::#empty => {})*
            }
        }
    });
    let aliases = module.aliases.as_ref().map(|path| aliases(path, &fields, mutable));
    quote!(#fields #variants #aliases)
}

fn visit(field: &Field, mutable: bool) -> TokenStream {
    let Field { ident, name, role } = field;
    let role = match role {
        Role::Module => {
            let (method, this) =
                if mutable { (quote!(visit_mut), quote!(&mut self)) } else { (quote!(visit), quote!(&self)) };
            return quote!(::ihead::nn::Module::#method(#this.#ident, &::ihead::nn::join(prefix, #name), visitor););
        }
        Role::Param => quote!(Param),
        Role::Buffer => quote!(Buffer),
    };
    let (method, this) =
        if mutable { (quote!(get_mut), quote!(&mut self)) } else { (quote!(get), quote!(&self)) };
    quote! {
        if let ::core::option::Option::Some(tensor) = ::ihead::nn::ParamField::#method(#this.#ident) {
            visitor(&::ihead::nn::join(prefix, #name), ::ihead::nn::Role::#role, tensor);
        }
    }
}

/// Visits the fields once more for each alias, and shows the tensor that it stands for under the alias.
fn aliases(path: &Path, fields: &TokenStream, mutable: bool) -> TokenStream {
    let (tensor, visitor) = if mutable {
        (quote!(&mut dyn ::ihead::nn::AnyParam), quote!(::ihead::nn::VisitorMut<'_>))
    } else {
        (quote!(&'visit dyn ::ihead::nn::AnyParam), quote!(::ihead::nn::Visitor<'visit, '_>))
    };
    quote! {
        for (alias, name) in #path(&*self) {
            let (alias, name) = (::ihead::nn::join(prefix, alias), ::ihead::nn::join(prefix, name));
            let mut renamed = |found: &str, role: ::ihead::nn::Role, tensor: #tensor| {
                if found == name {
                    visitor(&alias, role, tensor);
                }
            };
            let visitor: &mut #visitor = &mut renamed;
            #fields
        }
    }
}
