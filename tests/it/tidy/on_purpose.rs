//! The checks themselves, on sources that break each rule.

use super::source::{Source, blank};
use super::*;

#[test]
fn a_foreign_import_is_found_in_every_spelling() {
    let text = "//! crate::edge is fine in a comment\nuse crate::domain::UserId;\n\
                use crate::{actors::Roster, ports::{Clock, Store}};\n\
                const X: &str = \"crate::edge\";\nfn f() { super::super::edge::g() }\n\
                use super::ports;\n#[cfg(test)]\nmod tests {\n    use crate::app;\n}\n";

    let faults = import_faults(&Source::new("src/settings/mod.rs", text));

    let expected = [
        "src/settings/mod.rs:3: settings may not import actors",
        "src/settings/mod.rs:3: settings may not import ports",
        "src/settings/mod.rs:5: settings may not import edge",
        "src/settings/mod.rs:6: settings may not import ports",
    ];
    assert_eq!(faults, expected);
    let deeper = Source::new("src/settings/layers.rs", "use super::ports;");
    assert_eq!(import_faults(&deeper), [""; 0]);
    let unknown = Source::new("src/util.rs", "");
    assert_eq!(import_faults(&unknown).len(), 1);
}

#[test]
fn long_files_and_functions_are_found() {
    let long = format!(
        "fn short() {{}}\nfn long(x: [u8; 4]) {{\n{}}}\n",
        "    x;\n".repeat(69)
    );
    let faults = size_faults(&Source::new("src/app.rs", &long));
    assert_eq!(faults, ["src/app.rs:2: fn long has 71 lines, 70 at most"]);

    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(400));
    let fits = format!("{}{tests}", "//\n".repeat(400));
    assert_eq!(size_faults(&Source::new("src/app.rs", &fits)), [""; 0]);
    let faults = size_faults(&Source::new("src/app.rs", &format!("//\n{fits}")));
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn foreign_crates_and_banned_words_are_found() {
    let manifest = "[dependencies]\nserde_json = \"1\"\nuuid = \"1\"\n[dev-dependencies]\n\
                    actix-rt = \"2\"\n[profile.dev]\ndebug = 1\n";
    let crates = dependencies(manifest);
    assert_eq!(crates, ["serde_json", "uuid", "actix_rt"]);

    let text = "use uuid::Uuid;\nuse serde_json::Value;\nfn f() { actix_rt::spawn(todo!()) }\n\
                fn not_serde_json_or_do_send_it() {}\n// do_send\n";
    let source = Source::new("src/domain/x.rs", text);
    let expected = [
        "src/domain/x.rs:2: the domain may not use the crate serde_json",
        "src/domain/x.rs:3: the domain may not use the crate actix_rt",
    ];
    assert_eq!(crate_faults(&source, &crates), expected);
    assert_eq!(
        ban_faults(&source),
        ["src/domain/x.rs:3: todo is banned: finish it"]
    );
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_not() {
    let cases = [
        ("a // b\nc /* d\ne */ f", "a     \nc     \n     f"),
        (
            r#"f("a \" b", 'c', '\'', 'x: &'a str)"#,
            r"f(        ,    ,     , 'x: &'a str)",
        ),
        ("r#\"a \" b\"# + b\"c\"", "           +     "),
        ("let r = b; crate::x", "let r = b; crate::x"),
    ];
    for (text, code) in cases {
        assert_eq!(blank(text), code, "{text}");
    }
}

#[test]
fn a_wrong_row_of_the_readme_is_found() {
    let readme = "# x\n| `APP_NAME` | `other` | x |\n";

    let faults = readme_faults(readme);

    let expected = "README.md:2: expected | `APP_NAME` | `peerprep-matching-service` | …";
    assert_eq!(faults[0], expected);
    assert_eq!(faults.len(), VARIABLES.len());
}
