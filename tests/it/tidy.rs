//! Fails when the domain depends on a framework, when a file breaks a size limit or a ban, when the
//! README's table of variables is not the one in the code, or when the files that run the image are
//! not safe. Messages name the file and the line.

mod alerts;
mod deployment;
mod on_purpose;
mod source;

use std::fs;

use matchmaker::settings::VARIABLES;

use source::{Source, is_word, root, sources, words};

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
fn files_and_functions_are_short() {
    let sources = sources();
    assert_none(sources.iter().flat_map(size_faults));
}

#[test]
fn the_domain_uses_no_framework() {
    let path = root().join("src/domain/Cargo.toml");
    let manifest = fs::read_to_string(path).expect("the manifest is readable");
    assert_eq!(dependencies(&manifest), DOMAIN_CRATES);
    assert_eq!(manifest.matches("dependencies").count(), 1);
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

/// What the crate of this manifest is built from, its tests aside.
fn dependencies(manifest: &str) -> Vec<&str> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]");
    let table = lines.skip(1).take_while(|line| !line.starts_with('['));
    let names = table.filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty()).collect()
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
