//! The house rules that a compiler does not check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::support::checkout::checkout;

/// Room → rooms it may import, from the table in ARCHITECTURE.md.
fn rule() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(checkout("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows: Vec<(String, String)> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            (
                cells[0].trim().trim_matches('`').to_owned(),
                cells[2].to_owned(),
            )
        })
        .collect();
    let all: BTreeSet<String> = rows.iter().map(|(room, _)| room.clone()).collect();
    rows.iter()
        .map(|(room, cell)| {
            let allowed = match cell.trim().strip_prefix("any") {
                Some(but) => all.difference(&words(but)).cloned().collect(),
                None => words(cell),
            };
            (room.clone(), allowed)
        })
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
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

/// The rooms that a source text names after `crate::`, in `use` trees and in paths.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => {
                found.insert(
                    rest.chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect(),
                );
            }
            Some(tree) => {
                let (mut depth, mut word) = (0_i32, String::new());
                for c in tree.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            found.insert(std::mem::take(&mut word));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.insert(std::mem::take(&mut word));
                        }
                        c if depth == 0 && (c.is_alphanumeric() || c == '_') => word.push(c),
                        ':' if depth == 0 && !word.is_empty() => {
                            found.insert(std::mem::take(&mut word));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn rooms_import_only_what_the_architecture_allows() {
    let rule = rule();
    let source = checkout("src");
    let mut broken = Vec::new();
    for path in rust_files(&source) {
        let relative = path.strip_prefix(&source).expect("below src");
        let first = relative
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let room = first.trim_end_matches(".rs").to_owned();
        if matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = rule
            .get(&room)
            .unwrap_or_else(|| panic!("ARCHITECTURE.md does not list the room `{room}`"));
        let text = fs::read_to_string(&path).expect("a source file");
        for import in imports(&text) {
            if rule.contains_key(&import) && import != room && !allowed.contains(&import) {
                broken.push(format!("{} imports `{import}`", relative.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "against ARCHITECTURE.md:\n{}",
        broken.join("\n")
    );
}

#[test]
fn unsafe_code_is_in_one_module() {
    let allowed = checkout("src/scan/vector.rs");
    let unsafe_files: Vec<PathBuf> = rust_files(&checkout("src"))
        .into_iter()
        .filter(|path| {
            fs::read_to_string(path)
                .expect("a source file")
                .contains("allow(unsafe_code)")
        })
        .collect();
    assert_eq!(unsafe_files, [allowed]);
}

#[test]
fn the_scanner_of_imports_sees_every_form() {
    let found = imports(
        "use crate::a::B;\nuse crate::{b, c::{d, e::F}, g::H};\nlet x = crate::i::j();\n// crate::no\n",
    );
    for room in ["a", "b", "c", "g", "i"] {
        assert!(found.contains(room), "{room} is not seen in {found:?}");
    }
    assert!(!found.contains("no") && !found.contains("d"));
}
