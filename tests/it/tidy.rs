//! Fails when a file breaks the import table, a size limit or a ban, or when the README's table of
//! variables is not the one in the code, or when the files that run the image are not safe. Every
//! message names the file and the line.

mod alerts;
mod deployment;
mod on_purpose;
mod source;

use std::fs;

use matchmaker::settings::VARIABLES;

use source::{Source, is_word, root, sources, words};

/// Which top-level modules each top-level module may use, besides itself. Composition and start-up
/// are not listed in the first column, so they may use everything and nobody may use them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("settings", &["domain"]),
    // The guarantees are words of the domain, and their counters are metrics.
    ("observability", &["domain", "settings"]),
    ("panics", &[]),
    // Both who publishes it and who describes it need its exact shape.
    ("announcement", &["domain"]),
    (
        "adapters",
        &[
            "domain",
            "ports",
            "settings",
            "observability",
            "announcement",
        ],
    ),
    ("actors", &["domain", "ports", "observability"]),
    (
        "edge",
        &[
            "domain",
            "ports",
            "actors",
            "settings",
            "observability",
            "panics",
            "announcement",
        ],
    ),
];
/// Files that put everything together.
const MAY_IMPORT_ALL: &[&str] = &["app", "lib", "main", "startup"];
/// The crates that the domain may use.
const DOMAIN_CRATES: &[&str] = &["thiserror", "uuid"];
/// Where a word is banned, and why.
const BANNED: &[(&str, &str, &str)] = &[
    (
        "src/",
        "do_send",
        "it ignores the mailbox's bound: use send or try_send",
    ),
    ("src/", "todo", "finish it"),
    ("src/domain/", "async", "the domain never waits"),
    ("src/domain/", "Instant", "time is an input of the domain"),
    (
        "src/domain/",
        "SystemTime",
        "time is an input of the domain",
    ),
    ("src/domain/", "now_v7", "ids are an input of the domain"),
    ("src/domain/", "new_v4", "ids are an input of the domain"),
];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn every_folder_imports_only_what_the_table_allows() {
    let sources = sources();
    assert_none(sources.iter().flat_map(import_faults));
}

#[test]
fn files_and_functions_are_short() {
    let sources = sources();
    assert_none(sources.iter().flat_map(size_faults));
}

#[test]
fn the_domain_uses_no_framework() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is readable");
    let crates = dependencies(&manifest);
    assert!(
        crates.contains(&"actix_web".to_owned()),
        "dependencies are found: {crates:?}"
    );
    let sources = sources();
    let domain = sources
        .iter()
        .filter(|source| source.path.starts_with("src/domain/"));
    assert_none(domain.flat_map(|source| crate_faults(source, &crates)));
}

#[test]
fn banned_words_are_not_used() {
    let sources = sources();
    assert_none(sources.iter().flat_map(ban_faults));
}

#[test]
fn the_readme_lists_every_variable_with_its_default() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is readable");
    assert_none(readme_faults(&readme));
}

fn import_faults(source: &Source) -> Vec<String> {
    let module = source.module();
    if MAY_IMPORT_ALL.contains(&module[0]) {
        return Vec::new();
    }
    let Some((own, allowed)) = MAY_IMPORT.iter().find(|(own, _)| *own == module[0]) else {
        return vec![source.fault(0, "is in no row of the import table in tests/it/tidy.rs")];
    };
    let imports = crate_paths(source.shipped(), module.len());
    let foreign = imports
        .into_iter()
        .filter(|(_, name)| name != own && !allowed.contains(name));
    foreign
        .map(|(at, name)| source.fault(at, &format!("{own} may not import {name}")))
        .collect()
}

/// The first name of every path that begins at the crate's root, with its place. Paths of `super`
/// count where they climb to the root and name a top-level module there.
fn crate_paths(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in words(code, "crate").filter(|(_, rest)| rest.starts_with("::")) {
        let rest = &code[at + "crate::".len()..];
        found.extend(first_names(rest).into_iter().map(|name| (at, name)));
    }
    for (at, _) in words(code, "super").filter(|(at, _)| !code[..*at].ends_with("super::")) {
        let mut rest = &code[at..];
        let mut climbed = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, climbed) = (next, climbed + 1);
        }
        let names = first_names(rest).into_iter().filter(|_| climbed >= depth);
        let is_module = |name: &&str| {
            MAY_IMPORT.iter().any(|(module, _)| module == name) || MAY_IMPORT_ALL.contains(name)
        };
        found.extend(names.filter(is_module).map(|name| (at, name)));
    }
    found
}

/// The name with which a path goes on, or all of them where it goes on with `{…}`.
fn first_names(rest: &str) -> Vec<&str> {
    let name = |item: &'_ str| item.find(|c| !is_word(c)).unwrap_or(item.len());
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..name(rest)]];
    };
    let (mut depth, mut begin, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        if depth == 0 && matches!(c, ',' | '}') {
            let item = group[begin..at].trim_start();
            names.push(&item[..name(item)]);
            begin = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn size_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.code[..source.tests_at].lines().count();
    if lines > FILE_LINES_MAX {
        let what =
            format!("the file has {lines} lines without its tests, {FILE_LINES_MAX} at most");
        faults.push(source.fault(source.tests_at, &what));
    }
    for (at, rest) in words(&source.code, "fn") {
        let name = rest.trim_start();
        let name = &name[..name.find(|c| !is_word(c)).unwrap_or(name.len())];
        let lines = body(rest).map_or(0, |body| body.lines().count());
        if !name.is_empty() && lines > FUNCTION_LINES_MAX {
            let what = format!("fn {name} has {lines} lines, {FUNCTION_LINES_MAX} at most");
            faults.push(source.fault(at, &what));
        }
    }
    faults
}

/// What follows a `fn` up to the end of its body; nothing where it has none.
fn body(rest: &str) -> Option<&str> {
    let (mut nested, mut braces) = (0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            ';' if nested == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(&rest[..=at]),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

fn crate_faults(source: &Source, crates: &[String]) -> Vec<String> {
    let code = source.shipped();
    let foreign = crates
        .iter()
        .filter(|name| !DOMAIN_CRATES.contains(&name.as_str()));
    let uses = foreign.flat_map(|name| words(code, name).map(move |found| (name, found)));
    let paths = uses.filter(|(_, (at, rest))| {
        let is_root = !code[..*at].ends_with("::");
        is_root && (rest.starts_with("::") || code[..*at].ends_with("use "))
    });
    let fault = |(name, (at, _)): (&String, (usize, &str))| {
        source.fault(at, &format!("the domain may not use the crate {name}"))
    };
    paths.map(fault).collect()
}

/// The crates of a manifest as code spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut in_table = false;
    let mut crates = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_table = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_table) {
            crates.push(name.trim().replace('-', "_"));
        }
    }
    crates
}

fn ban_faults(source: &Source) -> Vec<String> {
    let bans = BANNED
        .iter()
        .filter(|(folder, _, _)| source.path.starts_with(folder));
    let faults = bans.flat_map(|(_, word, why)| {
        let found = words(source.shipped(), word);
        found.map(move |(at, _)| source.fault(at, &format!("{word} is banned: {why}")))
    });
    faults.collect()
}

fn readme_faults(readme: &str) -> Vec<String> {
    let rows = readme.lines().zip(1..).filter(|(line, _)| {
        let name = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    });
    let rows: Vec<_> = rows.collect();
    let mut faults = Vec::new();
    for (index, variable) in VARIABLES.iter().enumerate() {
        let default = match variable.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let expected = format!("| `{}` | {default} | ", variable.name);
        match rows.get(index) {
            Some((line, _)) if line.starts_with(&expected) => {}
            Some((_, number)) => faults.push(format!("README.md:{number}: expected {expected}…")),
            None => faults.push(format!("README.md:1: the table lacks {expected}…")),
        }
    }
    let surplus = rows.iter().skip(VARIABLES.len());
    faults.extend(surplus.map(|(line, number)| format!("README.md:{number}: no variable: {line}")));
    faults
}

fn assert_none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
