//! What of a command line may be shown.

/// Options whose values are secrets, or variables that may hold one.
const SECRET: [&str; 2] = ["--secret", "--env"];
const MASK: &str = "***";

/// The words with masks where secrets were.
pub fn without_secrets(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut follows = false;
    let shown = words.map(|word| {
        let is_value = std::mem::replace(&mut follows, SECRET.contains(&word.as_str()));
        match word.split_once('=') {
            _ if is_value => MASK.to_owned(),
            Some((name, _)) if SECRET.contains(&name) => format!("{name}={MASK}"),
            _ => word,
        }
    });
    shown.collect()
}
