//! The clients of docs/clients, against a real server.

mod browser;
mod consumer;
mod page;

use std::fs;
use std::path::Path;

#[test]
fn the_page_names_every_client_and_copies_none() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = fs::read_to_string(docs.join("clients.md")).expect("there is a page");
    let files = fs::read_dir(docs.join("clients")).expect("there are clients");

    let mut named = 0;
    for file in files.map(|file| file.expect("it can be listed")) {
        let name = file.file_name().into_string().expect("a plain name");
        assert!(page.contains(&format!("](clients/{name})")), "{name}");
        let code = fs::read_to_string(file.path()).expect("it is text");
        let mut lines = code.lines().filter(|line| line.trim().len() > 30);
        assert_eq!(
            lines.find(|line| page.contains(line.trim())),
            None,
            "{name}"
        );
        named += 1;
    }
    assert_eq!(named, 2);
}
