//! Settings that a macro of the user's writes, whose fragments come in invisible parentheses.
use ihead::Config;
use ihead::config::{Exit, FieldType, parse};

macro_rules! settings {
    ($name:ident, $ty:ty, $default:expr, $min:expr, $key:literal, $help:expr) => {
        #[derive(Config, Debug, PartialEq)]
        struct $name {
            #[doc = $help]
            #[config(default = $default, min = $min, rename = $key)]
            x: $ty,
            maybe: Option<$ty>,
            #[config(default = [$default, -$default])]
            list: Vec<$ty>,
        }
    };
}

settings!(Rates, f64, 1, -3, "rate", "How fast.");

macro_rules! with_defaults_of_types {
    ($name:ident, $optional:ty, $list:ty, $text:expr) => {
        #[derive(Config, Debug, PartialEq)]
        struct $name {
            optional: $optional,
            list: $list,
            #[config(default = $text)]
            text: String,
            #[config(group, default(x = 2.0))]
            rates: Rates,
        }
    };
}

with_defaults_of_types!(Args, Option<u8>, Vec<f64>, "as it is");

#[test]
fn fragments_of_a_macro_are_read_as_what_they_hold() {
    let rates = Rates { x: 2.0, maybe: None, list: vec![1.0, -1.0] };
    assert_eq!(Args::defaults(), Args { optional: None, list: Vec::new(), text: "as it is".into(), rates });
    let args = parse::<Args>(["rates.rate=-3".to_owned()]).unwrap().args;
    assert_eq!(args.rates.x, -3.0);
    let Err(Exit::Fail(problems)) = parse::<Args>(["rates.rate=-4".to_owned()]) else {
        panic!("below its bound")
    };
    assert_eq!(problems[0].to_string(), "rates.rate: expected a number of at least -3, found '-4'");
    let Err(Exit::Print { text, .. }) = parse::<Args>(["--help".to_owned()]) else {
        panic!("help is printed")
    };
    assert!(text.contains("How fast."), "{text}");
}

/// A setting that is on its way out gives no warning where the derive writes it.
#[deny(deprecated)]
mod deprecated {
    #[derive(ihead::Config)]
    pub struct Args {
        #[deprecated]
        #[config(default = 1)]
        pub width: usize,
        #[config(default = Kind::New)]
        pub kind: Kind,
    }

    #[derive(ihead::Config)]
    pub enum Kind {
        #[deprecated]
        Old,
        New,
    }
}

#[test]
fn a_deprecated_setting_can_still_be_set() {
    let args = parse::<deprecated::Args>(["width=3", "kind=old"].map(str::to_owned)).unwrap().args;
    assert_eq!(args.kind.to_json(), "old");
}
