//! What the macros write means the same in a module without the prelude, and beside types that are called like primitives.

/// The derives and `pointwise!` where nothing is in scope, and where every name that they might mean is the user's.
#[no_implicit_prelude]
mod bare {
    use ::core::prelude::v1::derive;
    use ::ihead::backend::Const;
    use ::ihead::config::{Derived, Problem};
    use ::ihead::nn::{Init, Linear, Param};

    /// A choice that is called like a primitive.
    #[allow(non_camel_case_types)]
    #[derive(
        ::ihead::Config,
        ::core::clone::Clone,
        ::core::marker::Copy,
        ::core::fmt::Debug,
        ::core::cmp::PartialEq,
    )]
    pub enum str {
        Low,
        High,
    }

    /// Types that are called like what the macros write; none of them is used.
    #[allow(non_camel_case_types, dead_code)]
    mod unused {
        pub struct f64;
        pub struct bool;
        pub struct usize;
        pub struct String;
        pub struct Vec;
        pub struct Option;
        pub struct Result;
        pub trait Default {}
        pub trait Extend {}
        pub trait From {}
        pub trait Iterator {}
    }
    #[allow(unused_imports)]
    use unused::*;

    #[derive(::ihead::Config, ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
    #[config(validate = refused, warn = refused, derive = derived, derived("twice"))]
    pub struct Inner {
        /// A number.
        #[config(default = -1, min = -2)]
        pub rate: ::core::primitive::f64,
        #[config(default = ["a", "b"])]
        pub names: ::std::vec::Vec<::std::string::String>,
        pub name: ::core::option::Option<::std::string::String>,
        #[config(default = str::Low)]
        pub level: str,
    }

    fn refused(args: &Inner) -> ::std::vec::Vec<Problem> {
        match args.rate > 5.0 {
            true => ::std::vec![Problem::new("rate", "too large")],
            false => ::std::vec![],
        }
    }

    fn derived(args: &Inner) -> ::std::vec::Vec<Derived> {
        ::std::vec![Derived::new("twice", 2.0 * args.rate, "the rate")]
    }

    #[derive(::ihead::Config, ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
    pub struct Outer {
        #[config(group, default(rate = 0.5, names = ::std::vec![]))]
        pub inner: Inner,
        #[config(flatten, default(rate = 2.5))]
        pub flat: Inner,
    }

    #[derive(::ihead::Module)]
    #[module(aliases = Self::aliases)]
    pub struct Model {
        #[module]
        pub embed: Linear<Const<2>, Const<2>>,
        #[param(rename = "own")]
        pub gain: ::core::option::Option<Param<(Const<2>,)>>,
        #[buffer]
        pub kept: Param<(Const<2>,)>,
        #[module]
        pub either: Either,
    }

    impl Model {
        fn aliases(&self) -> [(&'static ::core::primitive::str, &'static ::core::primitive::str); 1] {
            [("output.weight", "embed.weight")]
        }
    }

    #[derive(::ihead::Module)]
    pub enum Either {
        Map(Linear<Const<2>, Const<2>>),
        #[allow(dead_code)]
        Nothing,
    }

    pub fn model() -> Model {
        Model {
            embed: Linear::new(Const, Const),
            gain: ::core::option::Option::Some(Param::new((Const,), Init::Ones)),
            kept: Param::new((Const,), Init::Zeros),
            either: Either::Map(Linear::new(Const, Const)),
        }
    }

    pub fn recall() -> ::ihead::probe::Recall {
        ::ihead::recall!("own: embed -> embed => self")
    }

    ::ihead::pointwise! {
        /// `x^2`.
        pub squared(x) = x * x, derivative = 2.0 * x
    }
}

use ihead::config::{Config, FieldType, Parsed};
use ihead::nn::ModuleExt;
use ihead::ops::Pointwise;

#[test]
fn the_derives_work_without_the_prelude_and_beside_types_that_are_called_like_primitives() {
    let defaults = bare::Outer::default();
    assert_eq!((defaults.inner.rate, defaults.flat.rate), (0.5, 2.5));
    assert!(defaults.inner.names.is_empty() && defaults.flat.names == ["a", "b"]);
    assert_eq!(bare::Outer::defaults().validate(), []);
    let mut large = bare::Outer::defaults();
    large.inner.rate = 7.0;
    assert_eq!((large.validate().len(), large.warnings().len(), large.derivations().len()), (1, 1, 2));
    let parsed = ihead::config::parse::<bare::Outer>(["inner.level=high".to_string()]);
    assert!(matches!(parsed, Ok(Parsed { args, .. }) if args.inner.level == bare::str::High));
    assert_eq!(bare::str::Low.to_json(), "low");
    let model = bare::model().init(1);
    let names: Vec<String> = model.tensors().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["embed.weight", "own", "kept", "either.weight", "output.weight"]);
    assert_eq!(bare::recall().to_string(), "own: embed -> embed => self");
    assert_eq!((Pointwise::value(&bare::Squared, 3.0), Pointwise::name(&bare::Squared)), (9.0, "squared"));
}
