//! Stub impls after an error, so that code which uses the type does not fail as well.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

pub(super) fn stub(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let field_type = quote! {
        #[automatically_derived]
        impl #generics ::ihead::config::FieldType for #ident #arguments #bounds {
            fn kind() -> ::ihead::config::Kind { ::core::unreachable!() }
            fn from_json(_: &::ihead::config::Value) -> ::core::result::Result<Self, ::std::string::String> {
                ::core::unreachable!()
            }
            fn to_json(&self) -> ::ihead::config::Value { ::core::unreachable!() }
        }
    };
    let config = quote! {
        #[automatically_derived]
        impl #generics ::ihead::config::Config for #ident #arguments #bounds {
            fn schema() -> ::ihead::config::Schema { ::core::unreachable!() }
            fn defaults() -> Self { ::core::unreachable!() }
            fn read(_: &mut ::ihead::config::Reader<'_>) -> ::core::option::Option<Self> { ::core::unreachable!() }
            fn write(&self, _: &mut ::ihead::config::Writer) { ::core::unreachable!() }
        }
        #[automatically_derived]
        impl #generics ::core::default::Default for #ident #arguments #bounds {
            fn default() -> Self { ::core::unreachable!() }
        }
    };
    if matches!(input.data, Data::Enum(_)) { field_type } else { config }
}
