//! The sources of the server as the checks see them: code without comments and literals.

use std::fs;
use std::path::Path;

/// A file of `src/`, with everything that is no code blanked out.
pub(super) struct Source {
    /// From the repository's root, with forward slashes.
    pub(super) path: String,
    pub(super) code: String,
    /// Where the test module at the end begins; the length of `code` where there is none.
    pub(super) tests_at: usize,
    /// Whether the whole file is compiled for tests only.
    is_test: bool,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let begin = "\n#[cfg(test)]\nmod ";
        let is_inline = |at: &usize| {
            let line = code[at + begin.len()..].lines().next();
            line.is_some_and(|line| line.ends_with('{'))
        };
        let tests_at = code
            .rfind(begin)
            .filter(is_inline)
            .map_or(code.len(), |at| at + 1);
        Self {
            path: path.to_owned(),
            code,
            tests_at,
            is_test: false,
        }
    }

    /// The part that ends up in the server.
    pub(super) fn shipped(&self) -> &str {
        if self.is_test {
            ""
        } else {
            &self.code[..self.tests_at]
        }
    }

    /// The folder of the modules that this file declares.
    fn folder(&self) -> &str {
        let path = self.path.trim_end_matches(".rs");
        let roots = ["/mod", "/lib", "/main"];
        let folder = roots.iter().find_map(|root| path.strip_suffix(root));
        folder.unwrap_or(path)
    }

    pub(super) fn fault(&self, at: usize, what: &str) -> String {
        let line = self.code[..at].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

/// All files of `src/`, in the order of their paths.
pub(super) fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root().join("src"), &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let for_tests: Vec<_> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let is_below = |module: &String| {
            source
                .path
                .strip_prefix(module)
                .is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        source.is_test = for_tests.iter().any(is_below);
    }
    assert!(!sources.is_empty(), "src/ has files");
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("src/ is readable") {
        let path = entry.expect("src/ is readable").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(root()).expect("it was found there");
            sources.push(Source::new(
                &path.to_string_lossy().replace('\\', "/"),
                &text,
            ));
        }
    }
}

/// The paths, without `.rs`, of the modules that this file declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = source.folder();
    let lines: Vec<_> = source.code.lines().collect();
    let declared = lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| {
            let (_, name) = pair[1].split_once("mod ")?;
            Some(format!("{folder}/{}", name.strip_suffix(';')?))
        });
    declared.collect()
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The same text with comments and the insides of literals blanked, line by line as long as before.
pub(super) fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word);
        let length = blank_length(rest, after_word);
        let (piece, next) = rest.split_at(length.max(c.len_utf8()));
        match length {
            0 => code.push_str(piece),
            _ => code.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' })),
        }
        rest = next;
    }
    code
}

/// The length of the comment or literal at the beginning of `rest`, 0 where there is none.
fn blank_length(rest: &str, after_word: bool) -> usize {
    let until = |end: &str| rest.find(end).unwrap_or(rest.len());
    let prefix = rest
        .trim_start_matches(['b', 'r', 'c'])
        .trim_start_matches('#');
    let opening = rest.len() - prefix.len();
    let is_raw = rest[..opening].contains('r');
    match rest.as_bytes() {
        [b'/', b'/', ..] => until("\n"),
        [b'/', b'*', ..] => until("*/") + 2,
        [b'\'', b'\\', ..] => rest[3..].find('\'').map_or(0, |at| at + 4),
        [b'\'', ..] => {
            let mut chars = rest.char_indices().skip(2);
            chars
                .next()
                .filter(|(_, c)| *c == '\'')
                .map_or(0, |(at, _)| at + 1)
        }
        _ if !prefix.starts_with('"') || (opening > 0 && after_word) => 0,
        _ if is_raw => {
            let end = format!("\"{}", rest[..opening].trim_start_matches(['b', 'r', 'c']));
            let begin = opening + 1;
            rest[begin..]
                .find(&end)
                .map_or(rest.len(), |at| begin + at + end.len())
        }
        _ => {
            let (mut escaped, begin) = (false, opening + 1);
            let end = rest[begin..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |at| begin + at + 1)
        }
    }
}

/// Every place where `word` stands alone, and what follows it.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let places = code
        .match_indices(word)
        .map(move |(at, _)| (at, &code[at + word.len()..]));
    places.filter(move |(at, rest)| !code[..*at].ends_with(is_word) && !rest.starts_with(is_word))
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
