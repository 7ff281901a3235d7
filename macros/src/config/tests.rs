//! Snapshots of the expansion.

use syn::{DeriveInput, parse_quote};

fn expansion(input: &DeriveInput) -> String {
    let file = syn::parse2(super::derive(input)).expect("the expansion is a list of items");
    prettyplease::unparse(&file)
}

#[test]
fn a_struct() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        /// An experiment.
        #[config(validate = check, warn = idle, derive = sizes, derived("vocab_size"))]
        struct Args {
            /// Step size.
            #[config(default = 1, above = 0, max = 2.5, applies = "name!=null")]
            rate: f64,
            name: Option<String>,
            #[config(default = ["a", "b"], rename = "all")]
            names: Vec<String>,
            #[config(group, default(rate = 0.1, inner.name = "x"))]
            optim: OptimArgs,
            #[config(flatten)]
            run: RunArgs,
        }
    }));
}

#[test]
fn an_enum() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        enum Device {
            /// The processor.
            Cpu,
            #[config(rename = "gpu")]
            Cuda,
        }
    }));
}

#[test]
fn after_an_error_the_impl_is_a_stub() {
    insta::assert_snapshot!(expansion(&parse_quote! {
        struct Args(usize);
    }));
}
