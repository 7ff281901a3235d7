//! An enum as a choice of names.

use syn::ext::IdentExt;
use syn::{DataEnum, DeriveInput, Fields, LitStr};

use super::attributes::{Entries, help};
use super::errors::Errors;
use super::fields::key_objection;
use super::syntax::{Enum, Variant};

pub(super) fn validate(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) -> Enum {
    for name in Entries::of(&input.attrs, &super::ON_STRUCT, errors).rest() {
        errors.at(&name, format!("`{name}` belongs to a struct of settings, this is a choice of names"));
    }
    if data.variants.is_empty() {
        errors.at(&input.ident, "a choice needs at least one variant");
    }
    let mut variants: Vec<Variant> = Vec::new();
    for variant in &data.variants {
        let checked = validate_variant(variant, errors);
        if let Some(other) = variants.iter().find(|other| other.name == checked.name) {
            let message = format!("the name `{}` is that of `{}` too: rename one", checked.name, other.ident);
            errors.at(&variant.ident, message);
        }
        variants.push(checked);
    }
    Enum { ident: input.ident.clone(), variants }
}

fn validate_variant(variant: &syn::Variant, errors: &mut Errors) -> Variant {
    if !matches!(variant.fields, Fields::Unit) {
        let message =
            "a choice is a name alone: leave the variant's fields out, and make them settings beside it";
        errors.at(&variant.fields, message);
    }
    let rename = Entries::of(&variant.attrs, &["rename"], errors).text("rename", errors);
    let name = rename.as_ref().map_or_else(|| snake_case(&variant.ident.unraw().to_string()), LitStr::value);
    if let (Some(rename), Some(why)) = (&rename, key_objection(&name)) {
        errors.at(rename, why);
    }
    if name == "null" {
        errors.at(
            &variant.ident,
            "`null` means that there is no value: `#[config(rename = \"...\")]` the variant",
        );
    }
    Variant { ident: variant.ident.clone(), name, help: help(&variant.attrs) }
}

/// `OneLayer` as `one_layer`, `MLPBlock` as `mlp_block`.
fn snake_case(camel: &str) -> String {
    let letters: Vec<char> = camel.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (!before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_are_in_snake_case() {
        for (camel, snake) in [
            ("Cpu", "cpu"),
            ("OneLayer", "one_layer"),
            ("MLPBlock", "mlp_block"),
            ("SGD", "sgd"),
            ("F32", "f32"),
        ] {
            assert_eq!(snake_case(camel), snake);
        }
    }
}
