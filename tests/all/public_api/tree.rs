//! The modules of a crate, read from its sources, and what a path in one of them names.
use std::collections::BTreeMap;
use std::path::Path;

use syn::{Attribute, Item, UseTree, Visibility};

/// Every module by its path from the root, whose own is empty.
pub type Tree = BTreeMap<Vec<String>, Vec<Item>>;

/// An item: the path of its module, and its name.
pub type Place = (Vec<String>, String);

/// One name that a `use` brings in: the path, the name that it gets, and whether it is a `*`.
pub struct Import {
    pub path: Vec<String>,
    pub name: String,
    pub all: bool,
}

/// Reads the module in `file`, whose children lie in `dir`, and these.
pub fn read(file: &Path, dir: &Path, path: &[String], tree: &mut Tree) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    insert(parsed.items, dir, path, tree);
}

fn insert(items: Vec<Item>, dir: &Path, path: &[String], tree: &mut Tree) {
    for item in &items {
        if let Item::Mod(module) = item
            && !has(&module.attrs, "cfg", "test")
        {
            let name = module.ident.to_string();
            let (below, child) = (dir.join(&name), [path, std::slice::from_ref(&name)].concat());
            match &module.content {
                Some((_, items)) => insert(items.clone(), &below, &child, tree),
                None if below.join("mod.rs").is_file() => read(&below.join("mod.rs"), &below, &child, tree),
                None => read(&dir.join(format!("{name}.rs")), &below, &child, tree),
            }
        }
    }
    tree.insert(path.to_vec(), items);
}

/// Whether one of the attributes is `#[name(.. word ..)]`.
pub fn has(attributes: &[Attribute], name: &str, word: &str) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident(name)
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains(word))
    })
}

/// What an item is called, with its attributes and visibility; none for an `impl`, a `use` and the like.
pub fn head(item: &Item) -> Option<(String, &[Attribute], Option<&Visibility>)> {
    Some(match item {
        Item::Const(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Enum(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Fn(i) => (i.sig.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Macro(i) => (i.ident.as_ref()?.to_string(), &i.attrs, None),
        Item::Mod(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Static(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Struct(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Trait(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        Item::Type(i) => (i.ident.to_string(), &i.attrs, Some(&i.vis)),
        _ => return None,
    })
}

/// The names that a `use` brings in.
pub fn imports(tree: &UseTree) -> Vec<Import> {
    match tree {
        UseTree::Path(path) => {
            let mut below = imports(&path.tree);
            below.iter_mut().for_each(|import| import.path.insert(0, path.ident.to_string()));
            below
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            vec![Import { path: if name == "self" { vec![] } else { vec![name.clone()] }, name, all: false }]
        }
        UseTree::Rename(as_) => {
            vec![Import { path: vec![as_.ident.to_string()], name: as_.rename.to_string(), all: false }]
        }
        UseTree::Glob(_) => vec![Import { path: vec![], name: "*".into(), all: true }],
        UseTree::Group(group) => group.items.iter().flat_map(imports).collect(),
    }
}

/// Where the item is defined that `path` names in a module; none if that is in another crate. At most `depth` imports are
/// followed.
pub fn resolve(tree: &Tree, module: &[String], path: &[String], depth: usize) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    if depth == 0 {
        return None;
    }
    match first.as_str() {
        "crate" | "ihead" => return resolve_from(tree, &[], rest, depth),
        "self" => return resolve_from(tree, module, rest, depth),
        "super" => return resolve_from(tree, module.split_last()?.1, rest, depth),
        _ => {}
    }
    resolve_from(tree, module, path, depth)
}

fn resolve_from(tree: &Tree, module: &[String], path: &[String], depth: usize) -> Option<Place> {
    let Some((first, rest)) = path.split_first() else {
        let (name, parent) = module.split_last()?;
        return Some((parent.to_vec(), name.clone()));
    };
    if first == "super" {
        return resolve_from(tree, module.split_last()?.1, rest, depth);
    }
    let items = tree.get(module)?;
    let named = |item: &&Item| head(item).is_some_and(|(name, ..)| name == *first);
    let defined: Vec<&Item> = items.iter().filter(named).collect();
    let itself = || (!defined.is_empty()).then(|| (module.to_vec(), first.clone()));
    if !defined.is_empty() && !rest.is_empty() {
        return resolve_from(tree, &[module, std::slice::from_ref(first)].concat(), rest, depth);
    }
    // a function may be brought in from a module of the same name
    if defined.iter().any(|item| !matches!(item, Item::Mod(_))) {
        return itself();
    }
    let uses = items.iter().filter_map(|item| if let Item::Use(u) = item { Some(u) } else { None });
    for import in uses.flat_map(|u| imports(&u.tree)) {
        let target = match import.all {
            true => [&import.path[..], path].concat(),
            false if import.name == *first => [&import.path[..], rest].concat(),
            false => continue,
        };
        if import.path == [first.clone()] {
            continue; // a crate of this name
        }
        if let Some(found) = resolve(tree, module, &target, depth - 1) {
            return Some(found);
        }
    }
    itself()
}
