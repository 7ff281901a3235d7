//! The fields of a struct: what their attributes mean and what is wrong with them.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, LitStr, Token, Type};

use crate::nearest::nearest;

use super::attributes::{Content, Entries, Entry, help, items};
use super::errors::Errors;
use super::literal;
use super::shape::Shape;
use super::syntax::{Bound, Field, Override, Role, Setting};

/// The attributes of a field.
const KNOWN: [&str; 10] =
    ["default", "min", "max", "above", "below", "applies", "nan", "rename", "group", "flatten"];

const BOUNDS: [&str; 4] = ["min", "max", "above", "below"];

/// Integers up to here are exact as `f64`.
const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;

/// The field, if enough of it is right to go on; every mistake is noted.
pub(super) fn field(field: &syn::Field, errors: &mut Errors) -> Option<Field> {
    let ident = field.ident.clone()?;
    let mut entries = Entries::of(&field.attrs, &KNOWN, errors);
    let rename = entries.text("rename", errors);
    let key = rename.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
    if let (Some(rename), Some(why)) = (&rename, key_objection(&key)) {
        errors.at(rename, why);
    }
    let group = entries.flag("group", errors);
    let flatten = entries.flag("flatten", errors);
    let role = match (group, flatten) {
        (false, false) => {
            setting(&ident, &field.ty, &mut entries, errors).map(|setting| Role::Setting(Box::new(setting)))
        }
        (true, true) => {
            errors.at(
                &ident,
                "a field is `group` (keys below its name) or `flatten` (keys at this level), not both",
            );
            None
        }
        (true, false) => Some(Role::Group(overrides(&mut entries, errors))),
        (false, true) => {
            if let Some(rename) = &rename {
                errors
                    .at(rename, "the keys of a `flatten` field stand at this level: it has no key to rename");
            }
            Some(Role::Flatten(overrides(&mut entries, errors)))
        }
    };
    let what = if group { "group" } else { "flatten" };
    for name in entries.rest() {
        errors.at(&name, format!("`{name}` belongs to a single value, but this field is `{what}`"));
    }
    Some(Field { key, help: help(&field.attrs), ty: field.ty.clone(), role: role?, ident })
}

/// What is wrong with a key.
pub(super) fn key_objection(key: &str) -> Option<&'static str> {
    let plain = key.chars().all(|symbol| symbol.is_alphanumeric() || matches!(symbol, '_' | '-'));
    (key.is_empty() || key.starts_with('-') || !plain)
        .then_some("a key consists of letters, digits, `_` and `-`, and does not begin with `-`")
}

fn setting(ident: &Ident, ty: &Type, entries: &mut Entries, errors: &mut Errors) -> Option<Setting> {
    let default = match entries.take("default") {
        Some(entry) => written_default(ty, entry, errors),
        None if entries.misspelt("default") => None,
        None => own_default(ident, ty, errors),
    };
    let bounds = bounds(ty, default.as_ref(), entries, errors);
    let nan = entries.flag("nan", errors);
    if nan && !matches!(Shape::innermost(ty), Shape::Float | Shape::Other) {
        errors.at(
            ident,
            format!("`nan` belongs to `f32` and `f64`, the field is of type `{}`", literal::name(ty)),
        );
    }
    let applies = entries.text("applies", errors);
    Some(Setting { default: literal::convert(ty, &default?), bounds, nan, applies })
}

/// The default that a type has by itself.
fn own_default(ident: &Ident, ty: &Type, errors: &mut Errors) -> Option<Expr> {
    let shape = Shape::of(ty);
    match shape {
        Shape::Optional(_) => return Some(syn::parse_quote!(::core::option::Option::None)),
        Shape::List(_) => return Some(syn::parse_quote!([])),
        _ => {}
    }
    let name = literal::name(ty);
    let message = match shape.example() {
        Some(example) => {
            format!(
                "`{ident}` has no default: add `#[config(default = {example})]`, or make it `Option<{name}>`"
            )
        }
        None => format!(
            "`{ident}` has no default: add `#[config(default = ...)]`, make it `Option<{name}>`, or mark it \
             `#[config(group)]` if `{name}` is a section"
        ),
    };
    errors.at(ident, message);
    None
}

/// The default as it is written.
fn written_default(ty: &Type, entry: Entry, errors: &mut Errors) -> Option<Expr> {
    let Content::Value(value) = entry.content else {
        errors.at(&entry.name, "a single value has one default: write `default = VALUE`");
        return None;
    };
    if let Some(why) = literal::objection(ty, &value) {
        errors.at(&value, why);
        return None;
    }
    Some(value)
}

fn bounds(ty: &Type, default: Option<&Expr>, entries: &mut Entries, errors: &mut Errors) -> Vec<Bound> {
    let mut bounds: Vec<Bound> = Vec::new();
    for name in BOUNDS {
        let Some(entry) = entries.take(name) else { continue };
        let written = match &entry.content {
            Content::Value(value) => literal::number(value),
            _ => None,
        };
        let Some(value) = written.filter(|number| number.abs() <= EXACT) else {
            errors.at(
                &entry.name,
                format!("`{name}` takes a number, written out, of at most 2^53: `{name} = 1`"),
            );
            continue;
        };
        if matches!(Shape::innermost(ty), Shape::Bool | Shape::Text) {
            let ty = literal::name(ty);
            errors.at(&entry.name, format!("`{name}` belongs to numbers, the field is of type `{ty}`"));
            continue;
        }
        if let Some(why) = clash(name, value, &bounds) {
            errors.at(&entry.name, why);
            continue;
        }
        if let Some(default) = default.filter(|default| outside(name, value, default)) {
            errors.at(default, format!("the default lies outside its own bound `{name} = {value}`"));
        }
        bounds.push(Bound { method: entry.name, value });
    }
    bounds
}

/// Why a bound cannot stand beside those before it.
fn clash(name: &str, value: f64, before: &[Bound]) -> Option<String> {
    let low = |name: &str| matches!(name, "min" | "above");
    before.iter().find_map(|bound| {
        let other = bound.method.to_string();
        if low(name) == low(&other) {
            return Some(format!("`{other}` and `{name}` bound the same side: keep one"));
        }
        let (least, greatest) = if low(name) { (value, bound.value) } else { (bound.value, value) };
        let open = name == "below" || name == "above" || other == "below" || other == "above";
        let empty = least > greatest || (open && least == greatest);
        empty.then(|| format!("no value satisfies both `{other} = {}` and `{name} = {value}`", bound.value))
    })
}

/// Whether a default, where it is a number written out, breaks a bound.
fn outside(name: &str, bound: f64, default: &Expr) -> bool {
    if let Expr::Array(array) = default {
        return array.elems.iter().any(|item| outside(name, bound, item));
    }
    literal::number(default).is_some_and(|default| match name {
        "min" => default < bound,
        "max" => default > bound,
        "above" => default <= bound,
        _ => default >= bound,
    })
}

impl Parse for Override {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = Punctuated::<Ident, Token![.]>::parse_separated_nonempty(input)?;
        input.parse::<Token![=]>()?;
        Ok(Self { path: path.into_iter().collect(), value: literal::bare(input.parse()?) })
    }
}

/// The `default(a = 1, b.c = 2)` of a group.
fn overrides(entries: &mut Entries, errors: &mut Errors) -> Vec<Override> {
    let Some(entry) = entries.take("default") else { return Vec::new() };
    let Content::List(list) = entry.content else {
        errors.at(&entry.name, "a group has a default for each field: write `default(field = VALUE)`");
        return Vec::new();
    };
    let overrides: Vec<Override> = match items(list) {
        Ok(overrides) => overrides.into_iter().collect(),
        Err(error) => {
            errors.add(error);
            return Vec::new();
        }
    };
    for (at, given) in overrides.iter().enumerate() {
        if overrides[..at].iter().any(|before| before.path == given.path) {
            let path: Vec<String> = given.path.iter().map(Ident::to_string).collect();
            errors.at(given.path.last(), format!("`{}` is given twice", path.join(".")));
        }
    }
    overrides
}

/// Mistakes that two fields make together: one key for both, a condition on a field that is not there.
pub(super) fn together(fields: &[Field], written: &[String], errors: &mut Errors) {
    for (at, field) in fields.iter().enumerate() {
        if matches!(field.role, Role::Flatten(_)) {
            continue;
        }
        let twin = |other: &&Field| other.key == field.key && !matches!(other.role, Role::Flatten(_));
        if let Some(other) = fields[..at].iter().find(twin) {
            errors.at(
                &field.ident,
                format!("the key `{}` is that of `{}` too: rename one", field.key, other.ident),
            );
        }
        if let Role::Setting(setting) = &field.role
            && let Some(applies) = &setting.applies
        {
            conditions(applies, &field.key, fields, written, errors);
        }
    }
}

/// Checks `applies`: conditions `key=value` or `key!=value` on other settings of this struct; `written` are all its
/// keys, with those of fields in which something else is wrong.
fn conditions(applies: &LitStr, own: &str, fields: &[Field], written: &[String], errors: &mut Errors) {
    let flattens = fields.iter().any(|field| matches!(field.role, Role::Flatten(_)));
    for part in applies.value().split(" and ") {
        let Some((key, value)) = part.trim().split_once('=') else {
            errors.at(applies, "write `applies = \"key=value\"`, with the value as on the command line");
            continue;
        };
        let key = key.strip_suffix('!').unwrap_or(key);
        if key.trim() != key || value.trim() != value {
            errors.at(applies, format!("write `{}`, without spaces", part.replace(' ', "")));
        } else if value.is_empty() || value.starts_with('=') {
            errors.at(applies, format!("write `{key}=VALUE` or `{key}!=VALUE`, with one `=`"));
        } else if key == own {
            errors.at(applies, "a setting cannot apply because of its own value: name another one");
        } else if let Some(other) = fields.iter().find(|field| field.key == key && !field.is_setting()) {
            errors.at(applies, format!("`{}` is a section: a condition names a single value", other.key));
        } else if !flattens && !written.iter().any(|known| known == key) {
            let known = written.iter().map(String::as_str).filter(|known| *known != own);
            let mend = nearest(key, known).map_or(String::new(), |near| format!(": did you mean `{near}`?"));
            errors.at(applies, format!("this struct has no setting `{key}`{mend}"));
        } else if let Some(field) = fields.iter().find(|field| field.key == key)
            && matches!(Shape::of(&field.ty), Shape::Bool)
            && !matches!(value, "true" | "false" | "True" | "False")
        {
            errors.at(applies, format!("`{key}` is `true` or `false`, never `{value}`"));
        }
    }
}

impl Field {
    fn is_setting(&self) -> bool {
        matches!(self.role, Role::Setting(_))
    }
}
