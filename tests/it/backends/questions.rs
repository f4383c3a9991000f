//! The built-in questions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use matchmaker::adapters::{BuiltInQuestions, QuestionsError};
use matchmaker::domain::{Difficulty, Question, Topic, Wish};
use matchmaker::ports::Questions;
use serde_json::{Value, json};

fn wish(difficulty: Difficulty, topic: &str) -> Wish {
    let topic = Topic::parse(topic).expect("a topic");
    Wish { difficulty, topic }
}

fn entry(id: i64, difficulty: &str, topics: &[&str]) -> Value {
    json!({"id": id, "title": format!("Question {id}"), "difficulty": difficulty,
           "topics": topics, "description": "Do it."})
}

fn small_set() -> BuiltInQuestions {
    let entries = json!([
        entry(1, "easy", &["Array"]),
        entry(2, "easy", &["Hash Table", "Array"]),
        entry(3, "easy", &["Graph"]),
        entry(4, "Medium", &["Array"]),
        entry(5, "hard", &["Array"]),
    ]);
    BuiltInQuestions::parse(&entries.to_string()).expect("a valid set")
}

/// Every id that comes in many picks.
async fn picked(set: &BuiltInQuestions, wish: &Wish) -> BTreeSet<i64> {
    let mut ids = BTreeSet::new();
    for _ in 0..200 {
        ids.insert(set.pick(wish, None).await.expect("a question").id);
    }
    ids
}

#[tokio::test]
async fn a_question_of_the_topic_is_picked_at_random() {
    let set = small_set();

    assert_eq!(
        picked(&set, &wish(Difficulty::Easy, "Array")).await,
        [1, 2].into()
    );
    assert_eq!(
        picked(&set, &wish(Difficulty::Medium, "Array")).await,
        [4].into()
    );
}

#[tokio::test]
async fn topics_meet_ignoring_case_and_inner_white_space() {
    let set = small_set();

    let ids = picked(&set, &wish(Difficulty::Easy, " hASH \u{a0} tABLE ")).await;

    assert_eq!(ids, [2].into());
}

#[tokio::test]
async fn a_topic_without_a_question_falls_back_to_the_difficulty() {
    let set = small_set();

    let ids = picked(&set, &wish(Difficulty::Easy, "Cooking")).await;

    assert_eq!(ids, [1, 2, 3].into());
}

#[tokio::test]
async fn a_question_comes_with_its_topics_and_lower_case_difficulty() {
    let found = small_set()
        .pick(&wish(Difficulty::Medium, "Array"), None)
        .await;

    let expected = Question {
        id: 4,
        title: "Question 4".into(),
        difficulty: "medium".into(),
        topics: vec!["Array".into()],
    };
    assert_eq!(found, Ok(expected));
}

#[test]
fn a_faulty_set_is_refused_with_its_fault() {
    let valid = [
        entry(1, "easy", &["A"]),
        entry(2, "medium", &["A"]),
        entry(3, "hard", &["A"]),
    ];
    let with = |entry: Value| Value::from([&valid[..], &[entry]].concat()).to_string();
    let untitled = json!({"id": 4, "title": " ", "difficulty": "easy", "topics": ["A"]});
    for (text, sentence) in [
        (
            with(entry(1, "easy", &["A"])),
            "config/questions.json: id 1 stands there twice",
        ),
        (
            with(untitled),
            "config/questions.json: question 4 has no title",
        ),
        (
            with(entry(4, "brutal", &["A"])),
            "config/questions.json: question 4 has the difficulty \"brutal\"; known: easy, medium, hard",
        ),
        (
            with(entry(4, "easy", &[])),
            "config/questions.json: question 4: it has no topic",
        ),
        (
            with(entry(4, "easy", &[" "])),
            "config/questions.json: question 4: topic must be 1 to 64 characters without control characters",
        ),
        (
            Value::from(&valid[..2]).to_string(),
            "config/questions.json has no hard question",
        ),
        (
            "[]".to_owned(),
            "config/questions.json has no easy question",
        ),
    ] {
        let fault = BuiltInQuestions::parse(&text).expect_err(sentence);

        assert_eq!(fault.to_string(), sentence);
    }
    for text in ["", "{}", "[1]", r#"[{"id": "1"}]"#, r#"[{"id": 1}]"#] {
        let fault = BuiltInQuestions::parse(text).expect_err(text);

        assert!(
            matches!(fault, QuestionsError::Malformed(_)),
            "{text}: {fault}"
        );
    }
}

#[test]
fn the_embedded_set_is_used_where_there_is_no_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");

    let set = BuiltInQuestions::load(folder.path()).expect("the embedded set");

    assert!(set.len() >= 60);
}

#[test]
fn a_file_in_the_folder_replaces_the_embedded_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |text: &str| {
        fs::create_dir_all(folder.path().join("config")).expect("a folder");
        fs::write(folder.path().join("config/questions.json"), text).expect("a file");
    };
    let load = |folder: &Path| BuiltInQuestions::load(folder).map(|set| set.len());

    let three = [1, 2, 3].map(|id| entry(id, ["easy", "medium", "hard"][id as usize - 1], &["A"]));
    write(&json!(three).to_string());
    assert_eq!(load(folder.path()), Ok(3));

    write("nonsense");
    assert!(matches!(
        load(folder.path()),
        Err(QuestionsError::Malformed(_))
    ));
}

#[test]
fn the_embedded_set_serves_every_difficulty_and_many_topics() {
    let text = include_str!("../../../config/questions.json");
    let entries: Vec<Value> = serde_json::from_str(text).expect("it is JSON");

    let topic = |topic: &Value| {
        Topic::parse(topic.as_str().expect("text"))
            .expect("a topic")
            .key()
    };
    let topics: BTreeSet<_> = entries
        .iter()
        .flat_map(|entry| {
            entry["topics"]
                .as_array()
                .expect("topics")
                .iter()
                .map(topic)
        })
        .collect();

    assert!(entries.len() >= 60, "{}", entries.len());
    assert!(topics.len() >= 12, "{topics:?}");
    assert!(
        entries
            .iter()
            .all(|entry| !entry["description"].as_str().expect("text").is_empty())
    );
}
