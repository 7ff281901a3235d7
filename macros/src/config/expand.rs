//! The impls.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Lit};

use super::syntax::{Enum, Field, Override, Role, Setting, Struct};

/// `impl Config` for a struct.
pub(super) fn expand_struct(input: &Struct) -> TokenStream {
    let Struct { ident, help, validate, derived, fields } = input;
    let name = ident.to_string();
    let schema = fields.iter().map(schema_entry);
    let defaults = fields.iter().map(default);
    let reads = fields.iter().map(read);
    let fields_read = fields.iter().map(|Field { ident, .. }| quote!(#ident: #ident?));
    let writes = fields.iter().map(write);
    let checks = fields.iter().filter_map(check);
    let own = validate.iter().map(|path| quote!(problems.extend(#path(self));));
    quote! {
        #[automatically_derived]
        impl ::ihead::config::Config for #ident {
            fn schema() -> ::ihead::config::Schema {
                #[allow(unused_variables)]
                let defaults = <Self as ::ihead::config::Config>::defaults();
                ::ihead::config::Schema::new(#name, #help) #(#schema)* #(.derived(#derived))*
            }
            fn defaults() -> Self {
                Self { #(#defaults),* }
            }
            fn read(from: &mut ::ihead::config::Reader<'_>) -> ::core::option::Option<Self> {
                #(#reads)*
                ::core::option::Option::Some(Self { #(#fields_read),* })
            }
            fn write(&self, to: &mut ::ihead::config::Writer) {
                #(#writes)*
            }
            fn validate(&self) -> ::std::vec::Vec<::ihead::config::Problem> {
                #[allow(unused_mut)]
                let mut problems = ::std::vec::Vec::new();
                #(#own)*
                #(#checks)*
                problems
            }
        }
    }
}

/// `.setting(...)`, `.section(...)` or `.flatten(...)` on the schema.
fn schema_entry(field: &Field) -> TokenStream {
    let Field { ident, key, help, ty, role } = field;
    match role {
        Role::Setting(setting) => {
            let options = options(setting);
            quote_spanned!(ty.span()=> .setting(::ihead::config::Setting::new::<#ty>(#key, #help, &defaults.#ident) #options))
        }
        Role::Group(_) => quote_spanned!(ty.span()=> .section::<#ty>(#key, #help, &defaults.#ident)),
        Role::Flatten(_) => quote_spanned!(ty.span()=> .flatten::<#ty>(&defaults.#ident)),
    }
}

fn options(setting: &Setting) -> TokenStream {
    let bounds = setting.bounds.iter().map(|bound| {
        let (method, value) = (&bound.method, bound.value);
        quote!(.#method(#value))
    });
    let nan = setting.nan.then(|| quote!(.nan()));
    let applies = setting.applies.iter().map(|conditions| quote!(.applies(#conditions)));
    quote!(#(#bounds)* #nan #(#applies)*)
}

fn default(field: &Field) -> TokenStream {
    let Field { ident, ty, role, .. } = field;
    match role {
        Role::Setting(setting) => {
            let default = &setting.default;
            quote!(#ident: #default)
        }
        Role::Group(overrides) | Role::Flatten(overrides) => {
            let defaults = quote_spanned!(ty.span()=> <#ty as ::ihead::config::Config>::defaults());
            if overrides.is_empty() {
                return quote!(#ident: #defaults);
            }
            let assignments = overrides.iter().map(assignment);
            quote! {
                #ident: {
                    let mut group = #defaults;
                    #(#assignments)*
                    group
                }
            }
        }
    }
}

fn assignment(Override { path, value }: &Override) -> TokenStream {
    match value {
        Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)) => {
            quote!(group.#(#path).* = ::core::convert::From::from(#value);)
        }
        _ => quote!(group.#(#path).* = #value;),
    }
}

fn read(field: &Field) -> TokenStream {
    let Field { ident, key, ty, role, .. } = field;
    match role {
        Role::Setting(_) => quote_spanned!(ty.span()=> let #ident = from.value::<#ty>(#key);),
        Role::Group(_) => quote_spanned!(ty.span()=> let #ident = from.section::<#ty>(#key);),
        Role::Flatten(_) => {
            quote_spanned!(ty.span()=> let #ident = <#ty as ::ihead::config::Config>::read(from);)
        }
    }
}

fn write(field: &Field) -> TokenStream {
    let Field { ident, key, ty, role, .. } = field;
    match role {
        Role::Setting(_) => quote_spanned!(ty.span()=> to.value::<#ty>(#key, &self.#ident);),
        Role::Group(_) => quote_spanned!(ty.span()=> to.section::<#ty>(#key, &self.#ident);),
        Role::Flatten(_) => {
            quote_spanned!(ty.span()=> <#ty as ::ihead::config::Config>::write(&self.#ident, to);)
        }
    }
}

/// The check of a section's values together.
fn check(field: &Field) -> Option<TokenStream> {
    let Field { ident, key, ty, role, .. } = field;
    let inside = quote_spanned!(ty.span()=> <#ty as ::ihead::config::Config>::validate(&self.#ident));
    match role {
        Role::Setting(_) => None,
        Role::Group(_) => Some(quote!(problems.extend(::ihead::config::Problem::under(#key, #inside));)),
        Role::Flatten(_) => Some(quote!(problems.extend(#inside);)),
    }
}

/// `impl FieldType` for an enum.
pub(super) fn expand_enum(input: &Enum) -> TokenStream {
    let Enum { ident, variants } = input;
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let names: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
    let helps = variants.iter().map(|variant| &variant.help);
    let list = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let expected = format!("expected one of {list}, found ");
    quote! {
        #[automatically_derived]
        impl ::ihead::config::FieldType for #ident {
            fn kind() -> ::ihead::config::Kind {
                ::ihead::config::Kind::Choice(::std::vec![
                    #(::ihead::config::Choice { name: #names, help: #helps }),*
                ])
            }
            fn from_json(json: &::ihead::config::Value) -> ::core::result::Result<Self, ::std::string::String> {
                match json.as_str() {
                    #(::core::option::Option::Some(#names) => ::core::result::Result::Ok(Self::#idents),)*
                    _ => ::core::result::Result::Err(::std::format!("{}{}", #expected, json)),
                }
            }
            fn to_json(&self) -> ::ihead::config::Value {
                ::core::convert::From::from(match self {
                    #(Self::#idents => #names),*
                })
            }
        }
    }
}
