//! The house rules that a compiler does not check.

mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
};

use self::imports::{Imports, Module, rust_files};

use crate::support::checkout::checkout;

/// Rooms, the lowest first, and what each may import, from the table in ARCHITECTURE.md.
fn rule() -> Vec<(String, BTreeSet<String>)> {
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

/// Files that use each other, in a circle.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = arrows
        .keys()
        .map(|from| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(arrows[at].iter().filter(|to| seen.insert(*to)));
            }
            (from, seen)
        })
        .collect();
    let mut found = BTreeSet::new();
    for (from, to) in &reached {
        if to.contains(from) {
            let circle = to.iter().filter(|of| reached[**of].contains(from));
            found.insert(circle.map(|of| (*of).clone()).collect());
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let arrows = Imports::read(&checkout("src")).arrows();
    let circles = circles(&arrows);
    let mut told = String::new();
    for circle in &circles {
        for from in circle {
            let to = arrows[from].intersection(circle);
            let to: Vec<String> = to.map(|to| to.join("/")).collect();
            let _ = writeln!(told, "{} uses {}", from.join("/"), to.join(", "));
        }
        told.push('\n');
    }
    assert!(circles.is_empty(), "{} circles:\n{told}", circles.len());
}

#[test]
fn rooms_use_only_what_the_architecture_allows() {
    let rule = rule();
    let order: Vec<&String> = rule.iter().map(|(room, _)| room).collect();
    let mut broken = Vec::new();
    for (from, to) in Imports::read(&checkout("src")).arrows() {
        let Some(room) = from.first() else { continue };
        let at = order.iter().position(|of| *of == room);
        let at = at.unwrap_or_else(|| panic!("ARCHITECTURE.md does not list the room `{room}`"));
        for used in to
            .iter()
            .filter_map(|to| to.first())
            .filter(|of| *of != room)
        {
            let (from, is_above) = (from.join("/"), order[..at].contains(&used));
            if !rule[at].1.contains(used) {
                broken.push(format!("{from} uses `{used}`"));
            } else if !is_above {
                broken.push(format!(
                    "{from} uses `{used}`, which is not listed above its room"
                ));
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
fn every_form_of_use_is_seen_and_what_is_passed_on_is_the_childs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    file("lib.rs", "pub mod a;\npub mod b;\npub mod c;\npub mod d;\n");
    file(
        "a.rs",
        "mod own;\npub use self::own::{Own as Mine, Other};\n",
    );
    file(
        "a/own.rs",
        "pub struct Own;\npub struct Other;\nuse crate::d;\nfn f() { d::g() }",
    );
    file(
        "b.rs",
        "use crate::{a::{self, Mine}, c::C};\nfn f(_: a::Other) {}\n",
    );
    file("c.rs", "fn f() { println!(\"{}\", crate::d::g()); }\n");
    file(
        "d.rs",
        "use std::fs;\n// use crate::b::B;\n#[cfg(test)]\nmod tests { use crate::c::C; }\npub fn g() { fs::x(crate::a::Mine) }\n",
    );
    let arrows: Vec<String> = Imports::read(folder.path())
        .arrows()
        .iter()
        .flat_map(|(from, to)| {
            to.iter()
                .map(|to| format!("{}>{}", from.join("/"), to.join("/")))
        })
        .collect();
    assert_eq!(arrows, ["a/own>d", "b>a/own", "b>c", "c>d", "d>a/own"]);
    let circles = circles(&Imports::read(folder.path()).arrows());
    let circle = [vec!["a".to_owned(), "own".into()], vec!["d".into()]];
    assert_eq!(circles, [BTreeSet::from(circle)]);
}
