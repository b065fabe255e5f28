//! The modules of a crate as its source has them: who is inside whom, and who names what of whom.
//!
//! It follows paths, through imports, globs and re-exports, and finds them in macros too. What it cannot see: a method or a
//! field that is used without a path to its type; names that come from a glob of a glob of macros; code that is generated, or
//! comes by `include!`. What is `#[cfg(test)]` is left out; all other conditions are taken to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// A path's words, such as `crate`, `a` and `B`.
type Words = Vec<String>;

/// A module, and all that it says outside of its tests.
#[derive(Default)]
pub(crate) struct Module {
    /// Its name from the crate's root on, such as `doctor::points`; the root's is `crate`.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// What it defines.
    items: BTreeSet<String>,
    /// What it has from elsewhere: by which name, and what it is there. One name may be a function and a module.
    imports: Vec<(String, Words)>,
    /// Where it has all of another module.
    globs: Vec<Words>,
    /// Each path in it, and the line.
    mentions: Vec<(Words, usize)>,
}

/// All modules of a crate; the first is its root.
pub(crate) struct Crate(pub(crate) Vec<Module>);

/// A module names what another one defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: usize,
    pub(crate) path: String,
}

impl Crate {
    /// Reads the crate whose root is this file.
    pub(crate) fn read(root: &Path) -> Self {
        let mut all = Self(Vec::new());
        let folder = root.parent().unwrap();
        all.add("crate", 0, root, folder, parse(root).items);
        all
    }

    /// Adds a module with these items. `folder` is where files of modules inside it lie.
    fn add(
        &mut self,
        name: &str,
        parent: usize,
        file: &Path,
        folder: &Path,
        items: Vec<Item>,
    ) -> usize {
        let own = self.0.len();
        self.0.push(Module {
            name: name.into(),
            file: file.into(),
            parent,
            ..Module::default()
        });
        let mut reader = Reader::default();
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            reader.module.items.extend(defined(item));
            reader.top = true;
            reader.visit_item(item);
        }
        let Reader { module, .. } = reader;
        self.0[own] = Module {
            children: BTreeMap::new(),
            name: name.into(),
            file: file.into(),
            parent,
            ..module
        };
        for item in items {
            if let Item::Mod(child) = item
                && !is_test(&child.attrs)
            {
                self.add_child(own, file, folder, child);
            }
        }
        own
    }

    fn add_child(&mut self, parent: usize, file: &Path, folder: &Path, child: ItemMod) {
        let ident = child.ident.to_string();
        let name = match self.0[parent].name.as_str() {
            "crate" => ident.clone(),
            above => format!("{above}::{ident}"),
        };
        let below = folder.join(&ident);
        let index = match child.content {
            Some((_, items)) => self.add(&name, parent, file, &below, items),
            None => {
                let beside = |path| file.parent().unwrap().join::<String>(path);
                if let Some(given) = given_path(&child.attrs).map(beside) {
                    // It is in its folder what a mod.rs is.
                    let items = parse(&given).items;
                    self.add(&name, parent, &given, given.parent().unwrap(), items)
                } else {
                    let files = [folder.join(format!("{ident}.rs")), below.join("mod.rs")];
                    let found = files.iter().find(|file| file.is_file());
                    let found = found
                        .unwrap_or_else(|| panic!("{}: no file of mod {ident}", file.display()));
                    self.add(&name, parent, found, &below, parse(found).items)
                }
            }
        };
        self.0[parent].children.insert(ident, index);
    }

    /// Each use of something that another module defines, the first one of each pair.
    pub(crate) fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = Vec::new();
        for (from, module) in self.0.iter().enumerate() {
            for (path, line) in &module.mentions {
                let Some(to) = self.definer(from, path, 0) else {
                    continue;
                };
                let known = uses.iter().any(|it| (it.from, it.to) == (from, to));
                if to != from && !known {
                    uses.push(Use {
                        from,
                        to,
                        line: *line,
                        path: path.join("::"),
                    });
                }
            }
        }
        uses
    }

    /// The module that defines what a path names, as seen in the module `from`; none for a module itself, whose items are
    /// named by longer paths, and for what is of another crate.
    fn definer(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let mut at = from;
        // What no module is known to have, a macro has made where the path leads.
        let mut inside = false;
        for (index, word) in path.iter().enumerate() {
            let rest = &path[index + 1..];
            let module = &self.0[at];
            let child = module.children.get(word).copied();
            (at, inside) = match (word.as_str(), child) {
                ("crate", _) => (0, true),
                ("self", _) => (at, true),
                ("super", _) => (module.parent, true),
                ("*", _) => return Some(at),
                (_, Some(child)) if !rest.is_empty() => (child, true),
                _ if module.items.contains(word) => return Some(at),
                _ => {
                    let known = inside && child.is_none();
                    return self.imported(at, word, rest, depth).or(known.then_some(at));
                }
            };
        }
        None
    }

    /// The same for a name that the module `at` has from elsewhere.
    fn imported(&self, at: usize, word: &String, rest: &[String], depth: usize) -> Option<usize> {
        if depth > 8 {
            return None;
        }
        let module = &self.0[at];
        let named = module.imports.iter().filter(|(name, _)| name == word);
        let named = named.filter(|(_, path)| path.first() != Some(word));
        let named =
            named.filter_map(|(_, path)| self.definer(at, &[path, rest].concat(), depth + 1));
        let globs = module.globs.iter().filter_map(|glob| {
            let star = [glob.as_slice(), &["*".into()]].concat();
            let all = self
                .definer(at, &star, depth + 1)
                .filter(|all| *all != at)?;
            let has = self.0[all].items.contains(word) || self.0[all].children.contains_key(word);
            let path = [std::slice::from_ref(word), rest].concat();
            has.then(|| self.definer(all, &path, depth + 1))
                .flatten()
                .or_else(|| self.imported(all, word, rest, depth + 1))
        });
        named.chain(globs).next()
    }
}

/// The parts of a graph from each of whose members all others of it can be reached, where there are at least two.
pub(crate) fn cycles(nodes: usize, uses: &[Use]) -> Vec<Vec<usize>> {
    let reached = |start: usize| {
        let mut reached = BTreeSet::new();
        let mut left = vec![start];
        while let Some(node) = left.pop() {
            let next = uses.iter().filter(|it| it.from == node).map(|it| it.to);
            left.extend(next.filter(|to| reached.insert(*to)));
        }
        reached
    };
    let reached: Vec<_> = (0..nodes).map(reached).collect();
    let mut cycles: Vec<Vec<usize>> = Vec::new();
    for node in (0..nodes).filter(|node| reached[*node].contains(node)) {
        match cycles
            .iter_mut()
            .find(|cycle| reached[node].contains(&cycle[0]) && reached[cycle[0]].contains(&node))
        {
            Some(cycle) => cycle.push(node),
            None => cycles.push(vec![node]),
        }
    }
    cycles
}

pub(crate) fn parse(file: &Path) -> syn::File {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Whether it is there for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| word == "test") && !condition.contains("not(test")
        }
        _ => false,
    })
}

/// The file that `#[path]` gives.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(it) if it.path.is_ident("path") => match &it.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(path),
                    ..
                }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// The name that an item defines; modules and imports are no items here.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Macro(it) => it.ident.as_ref()?,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Collects what a module says.
#[derive(Default)]
struct Reader {
    module: Module,
    /// An item of the module itself comes next, none inside a function.
    top: bool,
}

impl Reader {
    fn import(&mut self, prefix: &Words, tree: &UseTree, top: bool) {
        let with = |ident: &syn::Ident| [prefix.as_slice(), &[ident.to_string()]].concat();
        let (name, mut path) = match tree {
            UseTree::Path(it) => return self.import(&with(&it.ident), &it.tree, top),
            UseTree::Group(it) => {
                return it
                    .items
                    .iter()
                    .for_each(|tree| self.import(prefix, tree, top));
            }
            UseTree::Glob(_) => {
                if top {
                    self.module.globs.push(prefix.clone());
                }
                let all = [prefix.as_slice(), &["*".into()]].concat();
                return self.module.mentions.push((all, tree.span().start().line));
            }
            UseTree::Name(it) => (it.ident.to_string(), with(&it.ident)),
            UseTree::Rename(it) => (it.rename.to_string(), with(&it.ident)),
        };
        // `use a::{self}` names `a`.
        let own = name == "self";
        if own {
            path.pop();
        }
        let name = if own {
            path.last().cloned().unwrap_or_default()
        } else {
            name
        };
        self.module
            .mentions
            .push((path.clone(), tree.span().start().line));
        if top {
            self.module.imports.push((name, path));
        }
    }

    /// Paths in what a macro is given.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Words = Vec::new();
        let mut colons = 0;
        for token in tokens {
            let line = token.span().start().line;
            match token {
                TokenTree::Punct(it) if it.as_char() == ':' => colons += 1,
                TokenTree::Ident(it) if colons == 2 && !path.is_empty() => {
                    path.push(it.to_string());
                    colons = 0;
                    self.module.mentions.push((path.clone(), line));
                }
                TokenTree::Ident(it) => (path, colons) = (vec![it.to_string()], 0),
                TokenTree::Group(it) => {
                    self.tokens(it.stream());
                    (path, colons) = (Vec::new(), 0);
                }
                _ => (path, colons) = (Vec::new(), 0),
            }
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        let top = std::mem::take(&mut self.top);
        match item {
            _ if is_test(attributes(item)) => {}
            Item::Mod(_) => {}
            Item::Use(ItemUse { tree, .. }) => self.import(&Vec::new(), tree, top),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Words = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        if words.len() > 1 && path.leading_colon.is_none() {
            self.module.mentions.push((words, path.span().start().line));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'a syn::Macro) {
        self.visit_path(&it.path);
        // What `quote!` is given is another crate's code.
        if !it.path.is_ident("quote") {
            self.tokens(it.tokens.clone());
        }
    }

    fn visit_attribute(&mut self, it: &'a Attribute) {
        if let syn::Meta::List(list) = &it.meta {
            self.tokens(list.tokens.clone());
        }
    }

    // `pub(in crate::a)` needs nothing of `a`.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}
