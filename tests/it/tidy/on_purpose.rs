//! The checks themselves, on sources that break each rule.

use super::source::{Source, blank};
use super::*;

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
fn dependencies_and_banned_words_are_found() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nactix.workspace = true\n\n\
                    uuid = \"1\"\ntime={ version = \"1\" }\n\n[dev-dependencies]\nserde = \"1\"\n";
    assert_eq!(dependencies(manifest), ["actix", "uuid", "time"]);

    let text = "fn f() { todo!() }\nfn not_do_send_it() {}\n// do_send\n";
    let source = Source::new("src/domain/x.rs", text);
    assert_eq!(
        ban_faults(&source),
        ["src/domain/x.rs:1: todo is banned: finish it"]
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
