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

/// The messages with which a field is refused.
fn refused(field: &str) -> Vec<String> {
    let input: DeriveInput = syn::parse_str(&format!("struct Args {{ dim: usize, on: bool, {field} }}"))
        .unwrap_or_else(|error| panic!("{field}: {error}"));
    let text = super::derive(&with_defaults(input)).to_string();
    let errors = text.split("compile_error").skip(1).filter_map(|rest| rest.split('"').nth(1));
    errors.map(|message| message.replace("\\", "")).collect()
}

/// The first two fields get defaults.
fn with_defaults(mut input: DeriveInput) -> DeriveInput {
    if let syn::Data::Struct(data) = &mut input.data {
        let mut fields = data.fields.iter_mut();
        fields.by_ref().take(1).for_each(|field| field.attrs.push(parse_quote!(#[config(default = 8)])));
        fields.take(1).for_each(|field| field.attrs.push(parse_quote!(#[config(default = false)])));
    }
    input
}

#[test]
fn a_default_or_bound_that_fits_is_taken() {
    for field in [
        "#[config(default = -3)] x: i32",
        "#[config(default = 3)] x: f64",
        "#[config(default = -3)] x: f32",
        "#[config(default = 0.5)] x: Option<f64>",
        "#[config(default = [1, 2])] x: Vec<usize>",
        "#[config(default = \"a\")] x: String",
        "#[config(default = true)] x: bool",
        "#[config(default = Mode::Fast)] x: Mode",
        "x: Option<usize>",
        "x: Vec<String>",
        "#[config(default = 1, min = 1, max = 1)] x: usize",
        "#[config(default = 1, above = 0, below = 2)] x: f64",
        "#[config(default = 1, max = 9007199254740992)] x: usize",
        "#[config(default = [1, 2], min = 1, max = 2)] x: Vec<usize>",
        "#[config(default = 1.0, nan)] x: f64",
        "#[config(default = 1, applies = \"dim=8\")] x: usize",
        "#[config(default = 1, applies = \"on=true and dim!=8\")] x: usize",
        "#[config(default = 1, rename = \"a-b_1\")] x: usize",
    ] {
        assert!(refused(field).is_empty(), "{field}: {:?}", refused(field));
    }
}

#[test]
fn a_default_of_another_type_is_refused_by_name() {
    for (field, found) in [
        ("#[config(default = -3)] x: usize", "`usize`, but the default is a negative integer"),
        ("#[config(default = 0.5)] x: i32", "`i32`, but the default is a number with a fraction"),
        ("#[config(default = 1)] x: String", "`String`, but the default is an integer"),
        ("#[config(default = 'a')] x: String", "`String`, but the default is a character"),
        ("#[config(default = b\"a\")] x: String", "`String`, but the default is bytes"),
        ("#[config(default = true)] x: f64", "`f64`, but the default is true or false"),
        ("#[config(default = \"a\")] x: f64", "`f64`, but the default is a text"),
        ("#[config(default = 1)] x: bool", "`bool`, but the default is an integer"),
        ("#[config(default = 1)] x: Vec<usize>", "`Vec<usize>`, but the default is an integer"),
        ("#[config(default = [1, -2])] x: Vec<usize>", "`usize`, but the default is a negative integer"),
        ("#[config(default = [1])] x: usize", "`usize`, but the default is a list"),
        ("#[config(default = \"a\")] x: Option<usize>", "`usize`, but the default is a text"),
    ] {
        let said = refused(field);
        assert!(said.len() == 1 && said[0].contains(found), "{field}: {said:?}");
    }
}

#[test]
fn bounds_that_contradict_are_refused() {
    for (field, found) in [
        ("#[config(default = 1, min = 1, above = 0)] x: usize", "`min` and `above` bound the same side"),
        ("#[config(default = 1, max = 1, below = 2)] x: usize", "`max` and `below` bound the same side"),
        (
            "#[config(default = 1, min = 2, max = 1)] x: usize",
            "no value satisfies both `min = 2` and `max = 1`",
        ),
        (
            "#[config(default = 1, min = 1, below = 1)] x: usize",
            "no value satisfies both `min = 1` and `below = 1`",
        ),
        (
            "#[config(default = 1, above = 1, max = 1)] x: usize",
            "no value satisfies both `max = 1` and `above = 1`",
        ),
        ("#[config(default = 0, min = 1)] x: usize", "outside its own bound `min = 1`"),
        ("#[config(default = 2, max = 1)] x: usize", "outside its own bound `max = 1`"),
        ("#[config(default = 1, above = 1)] x: f64", "outside its own bound `above = 1`"),
        ("#[config(default = 1, below = 1)] x: f64", "outside its own bound `below = 1`"),
        ("#[config(default = -1, min = 0)] x: f64", "outside its own bound `min = 0`"),
        ("#[config(default = [1, 3], max = 2)] x: Vec<usize>", "outside its own bound `max = 2`"),
        ("#[config(default = 1, max = 9007199254740994)] x: usize", "of at most 2^53"),
        ("#[config(default = 1, max = N)] x: usize", "takes a number, written out"),
        ("#[config(default = true, max = 1)] x: bool", "belongs to numbers, the field is of type `bool`"),
        ("#[config(default = 1, nan)] x: usize", "`nan` belongs to `f32` and `f64`"),
    ] {
        let said = refused(field);
        assert!(said.iter().any(|line| line.contains(found)), "{field}: {said:?}");
    }
}

#[test]
fn keys_and_conditions_are_checked() {
    for (field, found) in [
        ("#[config(default = 1, rename = \"-a\")] x: usize", "does not begin with `-`"),
        ("#[config(default = 1, rename = \"a.b\")] x: usize", "a key consists of letters"),
        ("#[config(default = 1, rename = \"\")] x: usize", "a key consists of letters"),
        ("#[config(default = 1, rename = \"dim\")] x: usize", "the key `dim` is that of `dim` too"),
        ("#[config(default = 1, applies = \"dim\")] x: usize", "write `applies = "),
        ("#[config(default = 1, applies = \"dim=\")] x: usize", "with one `=`"),
        ("#[config(default = 1, applies = \"dim==8\")] x: usize", "with one `=`"),
        ("#[config(default = 1, applies = \"x=1\")] x: usize", "because of its own value"),
        ("#[config(default = 1, applies = \"dmi=8\")] x: usize", "no setting `dmi`: did you mean `dim`?"),
        ("#[config(default = 1, applies = \"colour=8\")] x: usize", "no setting `colour`"),
        ("#[config(default = 1, applies = \"on=1\")] x: usize", "`on` is `true` or `false`, never `1`"),
        ("#[config(default = 1, applies = \"on=true and dmi=8\")] x: usize", "no setting `dmi`"),
        ("#[config(default = 1, default = 2)] x: usize", "`default` is given twice"),
        ("#[config(defualt = 1)] x: usize", "unknown attribute `defualt`: did you mean `default`?"),
        (
            "#[config(default = 1, colour)] x: usize",
            "unknown attribute `colour`: expected one of default, min",
        ),
        ("#[config(default = 1, nan = 3)] x: f64", "`nan` takes no value"),
        ("#[config(default = 1, rename = 3)] x: f64", "`rename` takes a text"),
        ("#[config(group, flatten)] x: Inner", "not both"),
        ("#[config(flatten, rename = \"y\")] x: Inner", "it has no key to rename"),
        ("#[config(group, min = 1)] x: Inner", "`min` belongs to a single value, but this field is `group`"),
        ("#[config(flatten, nan)] x: Inner", "`nan` belongs to a single value, but this field is `flatten`"),
        ("#[config(group, default = 1)] x: Inner", "a group has a default for each field"),
        ("#[config(default(a = 1))] x: usize", "a single value has one default"),
        ("x: usize", "`x` has no default: add `#[config(default = "),
        ("x: Inner", "or mark it `#[config(group)]`"),
    ] {
        let said = refused(field);
        assert!(said.iter().any(|line| line.contains(found)), "{field}: {said:?}");
    }
}
