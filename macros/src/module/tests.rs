//! Snapshots of the expansion.

use syn::{DeriveInput, parse_quote};

fn expansion(input: &DeriveInput) -> String {
    let file = syn::parse2(super::derive(input)).expect("the expansion is a list of items");
    prettyplease::unparse(&file)
}

#[test]
fn a_struct() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        struct Model<D: Dim> {
            #[param]
            weight: Param<(D, D)>,
            #[buffer(rename = "pe")]
            positions: Param<(D, D)>,
            #[module]
            layers: Vec<Block<D>>,
            width: usize,
        }
    }));
}

#[test]
fn aliases() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        #[module(aliases = Self::aliases)]
        struct Tied {
            #[module]
            embed: Linear<usize, usize>,
        }
    }));
}

#[test]
fn an_enum() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        enum Map<D: Dim> {
            Linear(Linear<D, D>),
            Identity,
        }
    }));
}

#[test]
fn after_an_error_the_impl_is_a_stub() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        struct Weights<D: Dim>(Param<(D, D)>);
    }));
}
