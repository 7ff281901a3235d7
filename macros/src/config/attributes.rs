//! What is written in `#[config(...)]`, and doc comments.

use proc_macro2::Group;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, Lit, LitStr, Meta, Path, Token, parenthesized};

use crate::nearest::nearest;

use super::errors::Errors;
use super::literal::bare;

/// The entries of all `#[config(...)]` on one item; taken one by one by name.
pub(super) struct Entries {
    entries: Vec<Entry>,
    /// The known names that unknown ones probably stand for.
    misspelt: Vec<String>,
    /// Whether some of them could not be read, so that any name may be among those.
    unreadable: bool,
}

/// `name`, `name = value` or `name(tokens)`.
pub(super) struct Entry {
    pub name: Ident,
    pub content: Content,
}

pub(super) enum Content {
    Nothing,
    Value(Expr),
    List(Group),
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(error.span(), "expected the name of an attribute, as in `default = 1`")
        })?;
        let content = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Content::Value(bare(input.parse()?))
        } else if input.peek(syn::token::Paren) {
            Content::List(input.parse()?)
        } else {
            Content::Nothing
        };
        if !input.is_empty() && !input.peek(Token![,]) {
            let expected = if matches!(content, Content::Nothing) { "`=` or a comma" } else { "a comma" };
            return Err(input.error(format!("expected {expected} between `{name}` and this")));
        }
        Ok(Self { name, content })
    }
}

impl Entries {
    /// The entries of `attributes`; a name that is not among `known` or is there twice is a mistake.
    pub fn of(attributes: &[Attribute], known: &[&str], errors: &mut Errors) -> Self {
        let mut entries = Self { entries: Vec::new(), misspelt: Vec::new(), unreadable: false };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
            if !matches!(attribute.meta, Meta::List(_)) {
                errors.at(attribute, format!("write `#[config(...)]` with any of {}", known.join(", ")));
                entries.unreadable = true;
                continue;
            }
            match attribute.parse_args_with(Punctuated::<Entry, Token![,]>::parse_terminated) {
                Ok(list) => list.into_iter().for_each(|entry| entries.add(entry, known, errors)),
                Err(error) => {
                    errors.add(error);
                    entries.unreadable = true;
                }
            }
        }
        entries
    }

    fn add(&mut self, entry: Entry, known: &[&str], errors: &mut Errors) {
        let (name, text) = (&entry.name, entry.name.to_string());
        if self.entries.iter().any(|before| before.name == *name) {
            errors.at(name, format!("`{name}` is given twice"));
        } else if known.contains(&text.as_str()) {
            self.entries.push(entry);
        } else if let Some(near) = nearest(&text, known.iter().copied()) {
            errors.at(name, format!("unknown attribute `{name}`: did you mean `{near}`?"));
            self.misspelt.push(near.to_owned());
        } else {
            errors.at(name, format!("unknown attribute `{name}`: expected one of {}", known.join(", ")));
        }
    }

    /// Whether `name` is written, but wrongly, or may be.
    pub fn misspelt(&self, name: &str) -> bool {
        self.unreadable || self.misspelt.iter().any(|misspelt| misspelt == name)
    }

    /// The entry called `name`.
    pub fn take(&mut self, name: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(at))
    }

    /// Whether `name` stands there alone, as a flag.
    pub fn flag(&mut self, name: &str, errors: &mut Errors) -> bool {
        let Some(entry) = self.take(name) else { return false };
        if !matches!(entry.content, Content::Nothing) {
            errors.at(&entry.name, format!("`{name}` takes no value: write `{name}`"));
        }
        true
    }

    /// The text of `name = "text"`.
    pub fn text(&mut self, name: &str, errors: &mut Errors) -> Option<LitStr> {
        let entry = self.take(name)?;
        match entry.content {
            Content::Value(Expr::Lit(literal)) if matches!(literal.lit, Lit::Str(_)) => match literal.lit {
                Lit::Str(text) => Some(text),
                _ => None,
            },
            _ => {
                errors.at(&entry.name, format!("`{name}` takes a text: write `{name} = \"...\"`"));
                None
            }
        }
    }

    /// The path of `name = path::to::function`.
    pub fn path(&mut self, name: &str, errors: &mut Errors) -> Option<Path> {
        let entry = self.take(name)?;
        match entry.content {
            Content::Value(Expr::Path(path)) => Some(path.path),
            _ => {
                errors.at(
                    &entry.name,
                    format!("`{name}` takes a function: write `{name} = path::to::function`"),
                );
                None
            }
        }
    }

    /// The texts of `name("one", "two")`.
    pub fn texts(&mut self, name: &str, errors: &mut Errors) -> Vec<LitStr> {
        let Some(entry) = self.take(name) else { return Vec::new() };
        let texts = match entry.content {
            Content::List(list) => items::<LitStr>(list).ok(),
            _ => None,
        };
        let Some(texts) = texts else {
            errors.at(&entry.name, format!("`{name}` takes texts: write `{name}(\"one\", \"two\")`"));
            return Vec::new();
        };
        texts.into_iter().collect()
    }

    /// What is left, which does not belong here.
    pub fn rest(self) -> impl Iterator<Item = Ident> {
        self.entries.into_iter().map(|entry| entry.name)
    }
}

/// The items of a list in parentheses; what is wrong at its end is said at the closing one.
pub(super) fn items<T: Parse>(list: Group) -> syn::Result<Punctuated<T, Token![,]>> {
    let read = |input: ParseStream<'_>| {
        let inside;
        parenthesized!(inside in input);
        Punctuated::parse_terminated(&inside)
    };
    read.parse2(list.into_token_stream())
}

/// The doc comment, without the space after `///`.
pub(super) fn help(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(doc) = &attribute.meta else { return None };
    if !doc.path.is_ident("doc") {
        return None;
    }
    match bare(doc.value.clone()) {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    }
}
