//! The impl of `Module`.
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Path};

use super::syntax::{Field, Input, Role, Variant};

pub(super) fn expand(input: &DeriveInput, module: &Input) -> TokenStream {
    let (ident, not_recommended) = (&input.ident, crate::not_recommended());
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let [prefix, visitor] = ["prefix", "visitor"].map(local);
    let (body, body_mut) = (Method::Visit.body(module), Method::VisitMut.body(module));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        #not_recommended
        impl #generics ::ihead::nn::Module for #ident #arguments #bounds {
            #[allow(unused_variables)]
            fn visit<'__visit>(
                &'__visit self,
                #prefix: &::core::primitive::str,
                #visitor: &mut ::ihead::nn::Visitor<'__visit, '_>,
            ) {
                #body
            }

            #[allow(unused_variables)]
            fn visit_mut(
                &mut self,
                #prefix: &::core::primitive::str,
                #visitor: &mut ::ihead::nn::VisitorMut<'_>,
            ) {
                #body_mut
            }
        }
    }
}

/// A local name that no name of the user's can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The method whose body is being written.
#[derive(Clone, Copy)]
enum Method {
    Visit,
    VisitMut,
}

impl Method {
    /// `get` and `visit`, or `get_mut` and `visit_mut`.
    fn name(self, stem: &str) -> Ident {
        match self {
            Method::Visit => format_ident!("{stem}"),
            Method::VisitMut => format_ident!("{stem}_mut"),
        }
    }

    /// A reference to the field.
    fn borrow(self, field: &Ident) -> TokenStream {
        match self {
            Method::Visit => quote!(&self.#field),
            Method::VisitMut => quote!(&mut self.#field),
        }
    }

    fn body(self, module: &Input) -> TokenStream {
        let fields = module.fields.iter().map(|field| self.field(field));
        let fields = quote!(#(#fields)*);
        let variants = self.variants(module);
        let aliases = module.aliases.as_ref().map(|path| self.aliases(path, &fields));
        quote!(#fields #variants #aliases)
    }

    fn field(self, Field { ident, ty, role, name }: &Field) -> TokenStream {
        let (this, [prefix, visitor, tensor]) =
            (self.borrow(ident), ["prefix", "visitor", "tensor"].map(local));
        let role = match role {
            Role::Module => {
                let visit = self.name("visit");
                return quote! {
                    <#ty as ::ihead::nn::Module>::#visit(#this, &::ihead::nn::join(#prefix, #name), #visitor);
                };
            }
            Role::Param => quote!(::ihead::nn::Role::Param),
            Role::Buffer => quote!(::ihead::nn::Role::Buffer),
        };
        let get = self.name("get");
        quote! {
            if let ::core::option::Option::Some(#tensor) = <#ty as ::ihead::nn::ParamField>::#get(#this) {
                #visitor(&::ihead::nn::join(#prefix, #name), #role, #tensor);
            }
        }
    }

    /// The module that the variant holds, under the enum's own name.
    fn variants(self, module: &Input) -> Option<TokenStream> {
        let [prefix, visitor, inner] = ["prefix", "visitor", "inner"].map(local);
        let visit = self.name("visit");
        let full = module.variants.iter().map(|Variant { ident, ty }| {
            quote!(Self::#ident(#inner) => <#ty as ::ihead::nn::Module>::#visit(#inner, #prefix, #visitor),)
        });
        let empty = &module.empty_variants;
        let any = !module.variants.is_empty() || !empty.is_empty();
        any.then(|| quote!(match self { #(#full)* #(Self::#empty => {})* }))
    }

    /// Visits the fields once more for each alias, and shows the tensor that it stands for under the alias.
    fn aliases(self, path: &Path, fields: &TokenStream) -> TokenStream {
        let locals = ["prefix", "visitor", "alias", "name", "found", "role", "tensor", "renamed"].map(local);
        let [prefix, visitor, alias, name, found, role, tensor, renamed] = locals;
        let (tensor_type, visitor_type) = match self {
            Method::Visit => {
                (quote!(&'__visit dyn ::ihead::nn::AnyParam), quote!(::ihead::nn::Visitor<'__visit, '_>))
            }
            Method::VisitMut => (quote!(&mut dyn ::ihead::nn::AnyParam), quote!(::ihead::nn::VisitorMut<'_>)),
        };
        // A method of another type is an error at its name.
        let pair = quote_spanned!(path.span()=> (#alias, #name));
        quote! {
            for #pair in #path(&*self) {
                let (#alias, #name) = (::ihead::nn::join(#prefix, #alias), ::ihead::nn::join(#prefix, #name));
                let mut #renamed = |
                    #found: &::core::primitive::str,
                    #role: ::ihead::nn::Role,
                    #tensor: #tensor_type
                | {
                    if #found == #name {
                        #visitor(&#alias, #role, #tensor);
                    }
                };
                let #visitor: &mut #visitor_type = &mut #renamed;
                #fields
            }
        }
    }
}
