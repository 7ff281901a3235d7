//! The impls.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Ident, Lit};

use super::syntax::{Enum, Field, Override, Role, Setting, Struct};
use super::table;

/// `impl Config` for a struct: a handle for each field, and functions that pass from handle to handle.
pub(super) fn expand_struct(input: &Struct) -> TokenStream {
    let Struct { ident, help, validate, warn, derive, derived, fields } = input;
    let name = ident.to_string();
    let fields: Vec<FieldCode<'_>> =
        fields.iter().enumerate().map(|(at, field)| FieldCode::new(at, field)).collect();
    let [reader, writer, defaults] = ["reader", "writer", "defaults"].map(local);
    let handles = fields.iter().map(FieldCode::handle);
    let schema = fields.iter().map(|field| field.schema(&defaults));
    let default_values = fields.iter().map(FieldCode::default);
    let reads = fields.iter().map(|field| field.read(&reader));
    let values = fields.iter().map(|FieldCode { field, value, .. }| {
        let ident = &field.ident;
        quote!(#ident: #value?)
    });
    let writes = fields.iter().map(|field| field.write(&writer));
    let validate = said("validate", "Problem", validate.as_ref(), &fields);
    let warnings = said("warnings", "Problem", warn.as_ref(), &fields);
    let derivations = said("derivations", "Derived", derive.as_ref(), &fields);
    let (settings, not_recommended) = (table::of_struct(input), crate::not_recommended());
    quote! {
        const _: () = {
            #(#handles)*

            #[doc = #settings]
            #[automatically_derived]
            #[allow(deprecated)]
            #not_recommended
            impl ::ihead::config::Config for #ident {
                fn schema() -> ::ihead::config::Schema {
                    #[allow(unused_variables)]
                    let #defaults = <Self as ::ihead::config::Config>::defaults();
                    ::ihead::config::Schema::new(#name, #help) #(#schema)* #(.derived(#derived))*
                }
                fn defaults() -> Self {
                    Self { #(#default_values),* }
                }
                #[allow(unused_variables)]
                fn read(#reader: &mut ::ihead::config::Reader<'_>) -> ::core::option::Option<Self> {
                    #(#reads)*
                    ::core::option::Option::Some(Self { #(#values),* })
                }
                #[allow(unused_variables)]
                fn write(&self, #writer: &mut ::ihead::config::Writer) {
                    #(#writes)*
                }
                #validate
                #warnings
                #derivations
            }

            #[automatically_derived]
            #[allow(deprecated)]
            impl ::core::default::Default for #ident {
                fn default() -> Self {
                    <Self as ::ihead::config::Config>::defaults()
                }
            }
        };
    }
}

/// The method `name`, which gathers what the function at `own` and each section say.
fn said(name: &str, item: &str, own: Option<&syn::Path>, fields: &[FieldCode<'_>]) -> TokenStream {
    let [all, found] = ["all", "found"].map(local);
    let [name, item] = [name, item].map(|word| format_ident!("{word}"));
    let list = quote!(::std::vec::Vec<::ihead::config::#item>);
    // A function of another type is an error at its name.
    let own = own.iter().map(|path| {
        let call = quote_spanned!(path.span()=> let #found: #list = #path(self););
        quote!(#call ::core::iter::Extend::extend(&mut #all, #found);)
    });
    let inside = fields.iter().filter_map(|field| field.said(&name, &item, &all));
    quote! {
        fn #name(&self) -> #list {
            #[allow(unused_mut)]
            let mut #all = ::std::vec::Vec::new();
            #(#own)*
            #(#inside)*
            #all
        }
    }
}

/// A local name that no name of the user's can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A field and the names that the code about it uses.
struct FieldCode<'a> {
    field: &'a Field,
    /// The constant that is its handle.
    constant: Ident,
    /// The local variable that holds its value.
    value: Ident,
}

impl<'a> FieldCode<'a> {
    fn new(at: usize, field: &'a Field) -> Self {
        Self { field, constant: format_ident!("__FIELD_{at}"), value: local(&format!("value_{at}")) }
    }

    fn handle(&self) -> TokenStream {
        let Field { key, ty, role, .. } = self.field;
        let constant = &self.constant;
        match role {
            Role::Setting(_) => quote_spanned! {ty.span()=>
                const #constant: ::ihead::config::ValueField<#ty> = ::ihead::config::ValueField::<#ty>::new(#key);
            },
            Role::Group(_) | Role::Flatten(_) => quote_spanned! {ty.span()=>
                const #constant: ::ihead::config::SectionField<#ty> = ::ihead::config::SectionField::<#ty>::new();
            },
        }
    }

    /// `.setting(...)`, `.section(...)` or `.flatten(...)` on the schema.
    fn schema(&self, defaults: &Ident) -> TokenStream {
        let Field { ident, key, help, role, .. } = self.field;
        let constant = &self.constant;
        match role {
            Role::Setting(setting) => {
                let options = options(setting);
                quote!(.setting(#constant.setting(#help, &#defaults.#ident) #options))
            }
            Role::Group(_) => quote!(.section(#key, #help, #constant.schema(&#defaults.#ident))),
            Role::Flatten(_) => quote!(.flatten(#constant.schema(&#defaults.#ident))),
        }
    }

    fn default(&self) -> TokenStream {
        let Field { ident, role, .. } = self.field;
        let constant = &self.constant;
        match role {
            Role::Setting(setting) => {
                let default = &setting.default;
                quote!(#ident: #default)
            }
            Role::Group(overrides) | Role::Flatten(overrides) if overrides.is_empty() => {
                quote!(#ident: #constant.defaults())
            }
            Role::Group(overrides) | Role::Flatten(overrides) => {
                let group = local("group");
                let assignments = overrides.iter().map(|given| assignment(&group, given));
                quote! {
                    #ident: {
                        let mut #group = #constant.defaults();
                        #(#assignments)*
                        #group
                    }
                }
            }
        }
    }

    fn read(&self, reader: &Ident) -> TokenStream {
        let Self { field, constant, value } = self;
        let key = &field.key;
        match field.role {
            Role::Setting(_) => quote!(let #value = #constant.read(#reader);),
            Role::Group(_) => quote!(let #value = #constant.read(#key, #reader);),
            Role::Flatten(_) => quote!(let #value = #constant.read_flat(#reader);),
        }
    }

    fn write(&self, writer: &Ident) -> TokenStream {
        let Field { ident, key, role, .. } = self.field;
        let constant = &self.constant;
        match role {
            Role::Setting(_) => quote!(#constant.write(&self.#ident, #writer);),
            Role::Group(_) => quote!(#constant.write(#key, &self.#ident, #writer);),
            Role::Flatten(_) => quote!(#constant.write_flat(&self.#ident, #writer);),
        }
    }

    /// What a section says in the method `name`, added to `all`.
    fn said(&self, name: &Ident, item: &Ident, all: &Ident) -> Option<TokenStream> {
        let Field { ident, key, role, .. } = self.field;
        let constant = &self.constant;
        let inside = quote!(#constant.#name(&self.#ident));
        match role {
            Role::Setting(_) => None,
            Role::Group(_) => Some(
                quote!(::core::iter::Extend::extend(&mut #all, ::ihead::config::#item::under(#key, #inside));),
            ),
            Role::Flatten(_) => Some(quote!(::core::iter::Extend::extend(&mut #all, #inside);)),
        }
    }
}

/// The bounds and conditions of a setting.
fn options(setting: &Setting) -> TokenStream {
    let bounds = setting.bounds.iter().map(|bound| {
        let (method, value) = (&bound.method, bound.value);
        quote!(.#method(#value))
    });
    let nan = setting.nan.then(|| quote!(.nan()));
    let applies = setting.applies.iter().map(|conditions| quote!(.applies(#conditions)));
    quote!(#(#bounds)* #nan #(#applies)*)
}

fn assignment(group: &Ident, Override { path, value }: &Override) -> TokenStream {
    match value {
        Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)) => {
            quote!(#group.#(#path).* = ::core::convert::From::from(#value);)
        }
        _ => quote!(#group.#(#path).* = #value;),
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
    let (words, not_recommended) = (table::of_enum(input), crate::not_recommended());
    quote! {
        #[doc = #words]
        #[automatically_derived]
        #[allow(deprecated)]
        #not_recommended
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
