//! A line for each public item.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, Visibility};

use super::tree::{Import, Place, Tree, has, head, imports, read, resolve};

/// How many imports a name may go through.
const DEPTH: usize = 12;

/// The public items of the crate whose `lib.rs` lies in `dir`, sorted.
pub fn of(dir: &Path) -> Vec<String> {
    let mut tree = Tree::new();
    read(&dir.join("lib.rs"), dir, &[], &mut tree);
    let mut listing = Listing { tree: &tree, shown: BTreeMap::new(), lines: BTreeSet::new() };
    listing.module(&[], &[]);
    listing.module(&["prelude".into()], &["prelude".into()]);
    listing.implementations();
    listing.lines.into_iter().collect()
}

struct Listing<'a> {
    tree: &'a Tree,
    /// The public path of each item that has one.
    shown: BTreeMap<Place, String>,
    lines: BTreeSet<String>,
}

impl Listing<'_> {
    /// What is public in a module, under the path by which it is reached.
    fn module(&mut self, module: &[String], path: &[String]) {
        let Some(items) = self.tree.get(module) else { return };
        for item in items {
            if let Item::Use(import) = item {
                if is_public(&import.vis) && !has(&import.attrs, "doc", "hidden") {
                    imports(&import.tree).iter().for_each(|import| self.import(module, path, import));
                }
            } else if let Some((name, attributes, visibility)) = head(item) {
                let public = match visibility {
                    Some(visibility) => is_public(visibility),
                    None => attributes.iter().any(|a| a.path().is_ident("macro_export")),
                };
                if public && !has(attributes, "doc", "hidden") {
                    self.place(&(module.to_vec(), name.clone()), path, &name);
                }
            }
        }
    }

    fn import(&mut self, module: &[String], path: &[String], import: &Import) {
        if import.all {
            if let Some((parent, name)) = resolve(self.tree, module, &import.path, DEPTH) {
                self.module(&[&parent[..], &[name]].concat(), path);
            }
            return;
        }
        match resolve(self.tree, module, &import.path, DEPTH) {
            Some(place) => self.place(&place, path, &import.name),
            None => self.add("use", path, &import.name, &format!(" = {}", import.path.join("::"))),
        }
    }

    /// An item, which is public as `path::name`.
    fn place(&mut self, place: &Place, path: &[String], name: &str) {
        let (module, own) = place;
        let below = [path, &[name.to_string()]].concat();
        if let Some(known) = self.shown.get(place) {
            let known = format!(" = {known}");
            self.add("use", path, name, &known);
            return;
        }
        let items: Vec<&Item> =
            self.tree[module].iter().filter(|item| head(item).is_some_and(|h| h.0 == *own)).collect();
        for item in items {
            if let Item::Mod(_) = item {
                if below != ["prelude"] {
                    self.module(&[&module[..], std::slice::from_ref(own)].concat(), &below);
                }
                continue;
            }
            if !matches!(item, Item::Macro(_)) {
                self.shown.insert(place.clone(), below.join("::"));
            }
            self.item(item, path, name);
        }
    }

    fn item(&mut self, item: &Item, path: &[String], name: &str) {
        let below = [path, &[name.to_string()]].concat();
        match item {
            Item::Fn(function) => self.add("fn", path, name, &signature(&function.sig)),
            Item::Macro(_) => self.add("macro", path, name, "!"),
            Item::Const(c) => self.add("const", path, name, &format!(": {}", text(&c.ty))),
            Item::Type(t) => {
                self.add("type", path, name, &format!("{} = {}", text(&t.generics), text(&t.ty)))
            }
            Item::Struct(s) => {
                let rest =
                    format!("{}{}{}", text(&s.generics), fields(&s.fields, &s.attrs), derives(&s.attrs));
                self.add("struct", path, name, &rest);
            }
            Item::Enum(e) => {
                let growing =
                    if is_growing(&e.attrs) { vec!["#[non_exhaustive]".to_string()] } else { vec![] };
                let variants = e.variants.iter().map(|v| format!("{}{}", v.ident, variant(&v.fields)));
                let list: Vec<String> = growing.into_iter().chain(variants).collect();
                let rest = format!("{} {{ {} }}{}", text(&e.generics), list.join(", "), derives(&e.attrs));
                self.add("enum", path, name, &rest);
            }
            Item::Trait(t) => {
                let above: Vec<String> = t.supertraits.iter().map(text).collect();
                let above = if above.is_empty() { String::new() } else { format!(": {}", above.join(" + ")) };
                self.add("trait", path, name, &format!("{}{above}", text(&t.generics)));
                for item in &t.items {
                    match item {
                        TraitItem::Fn(f) if !has(&f.attrs, "doc", "hidden") => {
                            let default = if f.default.is_some() { " { .. }" } else { "" };
                            let rest = signature(&f.sig) + default;
                            self.add("trait", &below, &f.sig.ident.to_string(), &rest);
                        }
                        TraitItem::Type(t) => self.add("trait type", &below, &t.ident.to_string(), ""),
                        TraitItem::Const(c) => {
                            self.add(
                                "trait const",
                                &below,
                                &c.ident.to_string(),
                                &format!(": {}", text(&c.ty)),
                            );
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// The methods of public types, and the public traits that they implement.
    fn implementations(&mut self) {
        for (module, items) in self.tree {
            for item in items {
                let Item::Impl(block) = item else { continue };
                if has(&block.attrs, "doc", "hidden") || has(&block.attrs, "cfg", "test") {
                    continue;
                }
                let Type::Path(own) = &*block.self_ty else { continue };
                let segments = own.path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>();
                let place = resolve(self.tree, module, &segments, DEPTH);
                let Some(shown) = place.and_then(|place| self.shown.get(&place).cloned()) else { continue };
                let path: Vec<String> = shown.split("::").map(String::from).collect();
                if let Some((of, _)) = &block.trait_ {
                    let names = of.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>();
                    let known = resolve(self.tree, module, &names, DEPTH);
                    if known.is_none_or(|place| self.shown.contains_key(&place)) {
                        self.lines.insert(format!("impl {shown}: {}", text(of)));
                    }
                    continue;
                }
                for item in &block.items {
                    match item {
                        ImplItem::Fn(f) if is_public(&f.vis) && !has(&f.attrs, "doc", "hidden") => {
                            self.add("fn", &path, &f.sig.ident.to_string(), &signature(&f.sig));
                        }
                        ImplItem::Const(c) if is_public(&c.vis) => {
                            self.add("const", &path, &c.ident.to_string(), &format!(": {}", text(&c.ty)));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn add(&mut self, kind: &str, path: &[String], name: &str, rest: &str) {
        let path: String = path.iter().map(|part| format!("{part}::")).collect();
        self.lines.insert(format!("{kind} {path}{name}{rest}"));
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_growing(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"))
}

fn derives(attributes: &[Attribute]) -> String {
    let lists =
        attributes.iter().filter(|a| a.path().is_ident("derive")).filter_map(|a| a.meta.require_list().ok());
    let names: Vec<String> = lists.map(|list| tidy(&list.tokens.to_string())).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// The public fields of a struct; `..` for others.
fn fields(fields: &Fields, attributes: &[Attribute]) -> String {
    let public = fields.iter().filter(|f| is_public(&f.vis));
    let mut list: Vec<String> = public
        .map(|f| match &f.ident {
            Some(name) => format!("pub {name}: {}", text(&f.ty)),
            None => format!("pub {}", text(&f.ty)),
        })
        .collect();
    if list.len() < fields.len() || is_growing(attributes) {
        list.push("..".into());
    }
    if list.is_empty() { String::new() } else { format!(" {{ {} }}", list.join(", ")) }
}

/// The fields of an enum's variant.
fn variant(fields: &Fields) -> String {
    let list = fields.iter().map(|f| match &f.ident {
        Some(name) => format!("{name}: {}", text(&f.ty)),
        None => text(&f.ty),
    });
    let list = list.collect::<Vec<_>>().join(", ");
    match fields {
        Fields::Named(_) => format!(" {{ {list} }}"),
        Fields::Unnamed(_) => format!("({list})"),
        Fields::Unit => String::new(),
    }
}

/// What follows the name of a function.
fn signature(signature: &syn::Signature) -> String {
    let inputs: Vec<String> = signature.inputs.iter().map(text).collect();
    let (generics, output) = (text(&signature.generics), text(&signature.output));
    let bounds = signature.generics.where_clause.as_ref().map(text).unwrap_or_default();
    let whole = format!("{generics}({}) {output} {bounds}", inputs.join(", "));
    whole.trim_end().to_string()
}

fn text(tokens: impl ToTokens) -> String {
    tidy(&tokens.to_token_stream().to_string())
}

/// Tokens as they are usually written.
fn tidy(tokens: &str) -> String {
    let mut text = tokens.to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :", ":"),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
        ("' ", "'"),
        ("mut(", "mut ("),
        ("->(", "-> ("),
        (",>", ">"),
        (":(", ": ("),
        ("=(", "= ("),
        ("? Sized", "?Sized"),
    ] {
        text = text.replace(from, to);
    }
    text
}
