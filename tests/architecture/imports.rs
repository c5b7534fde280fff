//! Which file of the program uses what is defined in which other, read from the source text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, UseTree, Visibility};

/// A module's path below the crate.
pub(super) type Module = Vec<String>;

/// All modules, and what each names.
pub(super) struct Imports {
    modules: BTreeMap<Module, Source>,
}

/// A module as far as its imports go; its tests don't count.
struct Source {
    /// Local name → the path that it stands for.
    uses: BTreeMap<String, Use>,
    /// Paths in its code.
    paths: BTreeSet<Vec<String>>,
}

struct Use {
    path: Vec<String>,
    is_public: bool,
}

impl Imports {
    pub(super) fn read(source: &Path) -> Self {
        let files = rust_files(source);
        let modules = files.iter().filter_map(|path| {
            let module = module_of(path.strip_prefix(source).expect("below src"))?;
            let text = fs::read_to_string(path).expect("a source file");
            Some((module, Source::parse(&text)))
        });
        Self {
            modules: modules.collect(),
        }
    }

    /// File → the files whose definitions it uses. What a parent only passes on is its child's.
    pub(super) fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let arrows = self.modules.iter().map(|(module, source)| {
            let used = source
                .uses
                .values()
                .filter(|of| !self.is_passed_on(module, of));
            let paths = used.map(|of| &of.path).chain(&source.paths);
            let mut to: BTreeSet<Module> = paths
                .filter_map(|path| self.definition(module, path, 0))
                .collect();
            to.remove(module);
            (module.clone(), to)
        });
        arrows.collect()
    }

    fn is_passed_on(&self, module: &Module, of: &Use) -> bool {
        of.is_public
            && self
                .definition(module, &of.path, 0)
                .is_some_and(|to| to.starts_with(module))
    }

    /// The module that defines what a path means there; `None`: another crate's, or a module as a whole.
    fn definition(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        assert!(depth < 20, "{from:?}: {path:?} leads in a circle");
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len() - 1].to_vec(),
            _ => return self.inside(from, path, depth),
        };
        let mut rest = rest;
        while rest.first().is_some_and(|name| name == "super") {
            at.pop();
            rest = &rest[1..];
        }
        self.inside(&at, rest, depth)
    }

    /// What `path` means from within `module`.
    fn inside(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut child = module.clone();
        child.push(first.clone());
        if self.modules.contains_key(&child) {
            return self.inside(&child, rest, depth);
        }
        match self.modules[module].uses.get(first) {
            // `use some_macro;` passes on what is defined right there, `use some::some;` is another crate's.
            Some(of) if of.path[0] != *first => {
                let path: Vec<String> = of.path.iter().chain(rest).cloned().collect();
                self.definition(module, &path, depth + 1)
            }
            // Its own, or another crate's.
            _ => Some(module.clone()),
        }
    }
}

impl Source {
    fn parse(text: &str) -> Self {
        let file = syn::parse_file(text).expect("Rust");
        let mut source = Self {
            uses: BTreeMap::new(),
            paths: BTreeSet::new(),
        };
        for item in &file.items {
            match item {
                _ if is_for_tests(item) => {}
                Item::Use(of) => {
                    let is_public = !matches!(of.vis, Visibility::Inherited);
                    source.take_use(&of.tree, &mut Vec::new(), is_public);
                }
                Item::Mod(of) if of.content.is_none() => {}
                item => source.take_paths(item.to_token_stream()),
            }
        }
        source
    }

    fn take_use(&mut self, tree: &UseTree, path: &mut Vec<String>, is_public: bool) {
        let mut take = |name: String, path: Vec<String>| {
            self.uses.insert(name, Use { path, is_public });
        };
        match tree {
            UseTree::Path(of) => {
                path.push(of.ident.to_string());
                self.take_use(&of.tree, path, is_public);
                path.pop();
            }
            UseTree::Group(of) => {
                for tree in &of.items {
                    self.take_use(tree, path, is_public);
                }
            }
            UseTree::Name(of) if of.ident == "self" => {
                take(path.last().expect("a name").clone(), path.clone());
            }
            UseTree::Name(of) => {
                let name = of.ident.to_string();
                take(name.clone(), with(path, name));
            }
            UseTree::Rename(of) => {
                let name = match of.rename == "_" {
                    true => format!("_{}", of.ident),
                    false => of.rename.to_string(),
                };
                take(name, with(path, of.ident.to_string()));
            }
            UseTree::Glob(_) => take(path.join("::"), with(path, "*".into())),
        }
    }

    /// `a::b::c` wherever it stands, in macros too.
    fn take_paths(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.take_path(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(of) if of.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    self.take_path(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.take_paths(group.stream());
                    }
                }
            }
        }
        self.take_path(&mut path);
    }

    fn take_path(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

fn with(path: &[String], name: String) -> Vec<String> {
    path.iter().cloned().chain([name]).collect()
}

fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(of) => &of.attrs,
        Item::Fn(of) => &of.attrs,
        Item::Impl(of) => &of.attrs,
        Item::Use(of) => &of.attrs,
        _ => return false,
    };
    attributes
        .iter()
        .any(|of| of.to_token_stream().to_string().contains("cfg (test)"))
}

fn module_of(path: &Path) -> Option<Module> {
    let mut module: Module = path
        .with_extension("")
        .components()
        .map(|of| of.as_os_str().to_string_lossy().into_owned())
        .collect();
    match module.last()?.as_str() {
        // The program is the library's first user.
        "main" => return None,
        "tests" => return None,
        "mod" | "lib" => {
            module.pop();
        }
        _ => {}
    }
    Some(module)
}

pub(super) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
