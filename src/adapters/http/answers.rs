//! Reading what the question service answers.

use serde::Deserialize;
use serde_json::Value;

use domain::{Question, Wish};

/// Questions of one answer that are remembered.
pub(super) const QUESTIONS_MAX: usize = 64;
/// Longest title, in bytes.
const TITLE_BYTES_MAX: usize = 1_024;
/// Topics of a question, and the longest of them, in bytes.
const TOPICS_MAX: usize = 64;
const TOPIC_BYTES_MAX: usize = 256;

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(alias = "question_id")]
    id: i64,
    #[serde(alias = "name")]
    title: String,
    #[serde(default)]
    difficulty: Option<String>,
    #[serde(default)]
    topics: Option<Vec<String>>,
    #[serde(default)]
    is_active: Option<bool>,
}

/// The active questions of an answer.
///
/// # Errors
///
/// A reason, where it is no list, an entry of it does not fit, or none is active.
pub(super) fn questions_in(body: &[u8], wish: &Wish) -> Result<Vec<Question>, String> {
    let entries: Vec<Value> =
        serde_json::from_slice(body).map_err(|_| "its answer is not a JSON list".to_owned())?;
    let mut questions = Vec::new();
    for entry in entries {
        let entry = without_shadowed_names(entry);
        let entry: Entry = serde_json::from_value(entry)
            .map_err(|_| "its answer has an entry that is no question".to_owned())?;
        if entry.is_active.unwrap_or(true) {
            questions.push(question(entry, wish)?);
        }
    }
    if questions.is_empty() {
        return Err("it knows no such question".to_owned());
    }
    Ok(questions)
}

/// Where both spellings of a field are there, the one that we use counts.
fn without_shadowed_names(mut entry: Value) -> Value {
    if let Some(fields) = entry.as_object_mut() {
        for (ours, other) in [("id", "question_id"), ("title", "name")] {
            if fields.contains_key(ours) {
                fields.remove(other);
            }
        }
    }
    entry
}

fn question(entry: Entry, wish: &Wish) -> Result<Question, String> {
    let asked = || vec![wish.topic.as_str().to_owned()];
    let topics = entry.topics.filter(|topics| !topics.is_empty());
    let topics = topics.unwrap_or_else(asked);
    let difficulty = entry.difficulty.map(|text| text.to_lowercase());
    let difficulty = difficulty.filter(|text| matches!(&**text, "easy" | "medium" | "hard"));
    let fits = !entry.title.trim().is_empty()
        // PostgreSQL stores no NUL.
        && !entry.title.contains('\0')
        && entry.title.len() <= TITLE_BYTES_MAX
        && topics.len() <= TOPICS_MAX
        && topics.iter().all(|topic| topic.len() <= TOPIC_BYTES_MAX);
    if !fits {
        return Err(
            "its answer has a question without a title, or one that cannot be stored".to_owned(),
        );
    }
    Ok(Question {
        id: entry.id,
        title: entry.title,
        difficulty: difficulty.unwrap_or_else(|| wish.difficulty.as_lower_case().to_owned()),
        topics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::wish;

    fn read(body: &str) -> Result<Vec<Question>, String> {
        questions_in(body.as_bytes(), &wish("Array"))
    }

    #[test]
    fn both_spellings_of_id_and_title_are_read_and_inactive_ones_left_out() {
        let body = r#"[
            {"id": 1, "title": "One", "difficulty": "EASY", "topics": ["Array"], "is_active": true},
            {"question_id": 2, "name": "Two", "difficulty": "hard", "topics": ["A", "B"]},
            {"id": 3, "question_id": 9, "title": "Three", "name": "x", "extra": {}},
            {"id": 4, "title": "Four", "is_active": false}
        ]"#;

        let questions = read(body).unwrap();

        let told: Vec<_> = questions
            .iter()
            .map(|it| (it.id, &*it.title, &*it.difficulty, it.topics.len()))
            .collect();
        let expected = [
            (1, "One", "easy", 1),
            (2, "Two", "hard", 2),
            (3, "Three", "easy", 1),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_does_not_fit_is_a_failure() {
        for body in [
            "",
            "garbage",
            "{}",
            "[]",
            "[1]",
            r#"[{"id": "1", "title": "One"}]"#,
            r#"[{"id": 1.5, "title": "One"}]"#,
            r#"[{"id": 1, "title": " "}]"#,
            r#"[{"id": 1, "title": "One\u0000"}]"#,
            r#"[{"id": 1}]"#,
            r#"[{"id": 1, "title": "One", "is_active": false}]"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
        let endless = format!(r#"[{{"id": 1, "title": "{}"}}]"#, "x".repeat(1_025));
        assert!(read(&endless).is_err());
    }
}
