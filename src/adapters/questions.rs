//! Questions for dev, without a question service.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::Path;

use async_trait::async_trait;
use rand::seq::IndexedRandom;
use serde::Deserialize;

use domain::{BucketKey, Difficulty, Question, Topic, Wish};
use ports::{Away, BearerToken, Questions};

/// The set that the binary carries.
const EMBEDDED: &str = include_str!("../../config/questions.json");
/// Where a set that replaces it is looked for, from the working directory.
const FILE: &str = "config/questions.json";

/// A fixed set of questions, by difficulty and topic.
#[derive(Debug)]
pub struct BuiltInQuestions {
    questions: Vec<Question>,
    by_bucket: HashMap<BucketKey, Vec<usize>>,
    by_difficulty: HashMap<Difficulty, Vec<usize>>,
}

/// What is wrong with a set of questions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionsError {
    /// The file is there but cannot be read.
    #[error("{FILE} cannot be read: {0}")]
    Unreadable(String),
    /// It is not JSON, or not of the right shape.
    #[error("{FILE} is not a list of questions: {0}")]
    Malformed(String),
    /// Two questions have one id.
    #[error("{FILE}: id {0} stands there twice")]
    IdTwice(i64),
    /// A question has no title.
    #[error("{FILE}: question {0} has no title")]
    NoTitle(i64),
    /// A difficulty that is none.
    #[error("{FILE}: question {id} has the difficulty {difficulty:?}; known: easy, medium, hard")]
    UnknownDifficulty {
        /// Which question.
        id: i64,
        /// What stands there.
        difficulty: String,
    },
    /// A topic that nobody could ask for, or none at all.
    #[error("{FILE}: question {id}: {fault}")]
    Topics {
        /// Which question.
        id: i64,
        /// What is wrong.
        fault: String,
    },
    /// Nobody who asks for this difficulty could be served.
    #[error("{FILE} has no {0} question")]
    NoneOf(&'static str),
}

#[derive(Debug, Deserialize)]
struct Entry {
    id: i64,
    title: String,
    difficulty: String,
    topics: Vec<String>,
}

impl BuiltInQuestions {
    /// The set in `config/questions.json` under `folder`, else the one that the binary carries.
    ///
    /// # Errors
    ///
    /// [`QuestionsError`] where that file is there but cannot be used.
    pub fn load(folder: &Path) -> Result<Self, QuestionsError> {
        match std::fs::read_to_string(folder.join(FILE)) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::parse(EMBEDDED),
            Err(error) => Err(QuestionsError::Unreadable(error.to_string())),
        }
    }

    /// The set in `text`.
    ///
    /// # Errors
    ///
    /// [`QuestionsError`] names the first fault.
    pub fn parse(text: &str) -> Result<Self, QuestionsError> {
        let entries: Vec<Entry> = serde_json::from_str(text)
            .map_err(|error| QuestionsError::Malformed(error.to_string()))?;
        let mut set = Self {
            questions: Vec::with_capacity(entries.len()),
            by_bucket: HashMap::new(),
            by_difficulty: HashMap::new(),
        };
        let mut ids = BTreeSet::new();
        for entry in entries {
            if !ids.insert(entry.id) {
                return Err(QuestionsError::IdTwice(entry.id));
            }
            set.add(entry)?;
        }
        for difficulty in Difficulty::ALL {
            if !set.by_difficulty.contains_key(&difficulty) {
                return Err(QuestionsError::NoneOf(difficulty.as_lower_case()));
            }
        }
        Ok(set)
    }

    fn add(&mut self, entry: Entry) -> Result<(), QuestionsError> {
        let id = entry.id;
        if entry.title.trim().is_empty() {
            return Err(QuestionsError::NoTitle(id));
        }
        let Ok(difficulty) = Difficulty::parse(&entry.difficulty) else {
            let difficulty = entry.difficulty;
            return Err(QuestionsError::UnknownDifficulty { id, difficulty });
        };
        let topics = bucket_topics(&entry)?;
        let index = self.questions.len();
        for topic in topics {
            let bucket = BucketKey {
                difficulty,
                topic: topic.key(),
            };
            let fitting = self.by_bucket.entry(bucket).or_default();
            // Two spellings of one topic are one topic.
            if fitting.last() != Some(&index) {
                fitting.push(index);
            }
        }
        self.by_difficulty
            .entry(difficulty)
            .or_default()
            .push(index);
        self.questions.push(Question {
            id,
            title: entry.title,
            difficulty: difficulty.as_lower_case().to_owned(),
            topics: entry.topics,
        });
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Never: a set without questions is refused.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }
}

fn bucket_topics(entry: &Entry) -> Result<Vec<Topic>, QuestionsError> {
    let fault = |fault: String| QuestionsError::Topics {
        id: entry.id,
        fault,
    };
    if entry.topics.is_empty() {
        return Err(fault("it has no topic".to_owned()));
    }
    let parse = |topic: &String| Topic::parse(topic).map_err(|invalid| fault(invalid.to_string()));
    entry.topics.iter().map(parse).collect()
}

#[async_trait]
impl Questions for BuiltInQuestions {
    /// One of the wished topic, else any of the wished difficulty.
    async fn pick(&self, wish: &Wish, _token: Option<&BearerToken>) -> Result<Question, Away> {
        let of_topic = self.by_bucket.get(&wish.bucket());
        let fitting = of_topic.or_else(|| self.by_difficulty.get(&wish.difficulty));
        fitting
            .and_then(|indices| indices.choose(&mut rand::rng()))
            .and_then(|index| self.questions.get(*index))
            .cloned()
            .ok_or_else(|| Away {
                backend: "built-in questions",
                reason: format!("there is no {} question", wish.difficulty.as_lower_case()),
            })
    }
}
