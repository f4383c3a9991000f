//! JSON bodies of requests.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::docs::{samples, values};
use domain::{Difficulty, InvalidValue, Topic, Wish};

/// Body of `POST /request`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(samples::ask))]
pub struct AskBody {
    #[schema(value_type = values::AskedDifficulty)]
    difficulty: String,
    #[schema(value_type = values::AskedTopic)]
    topic: String,
}

impl AskBody {
    /// The wish, if its values are valid.
    pub fn wish(&self) -> Result<Wish, InvalidValue> {
        Ok(Wish {
            difficulty: Difficulty::parse(&self.difficulty)?,
            topic: Topic::parse(&self.topic)?,
        })
    }
}

/// Body of `POST /confirm`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(samples::confirm))]
pub struct ConfirmBody {
    /// Which match.
    #[schema(value_type = Uuid)]
    pub match_id: String,
    /// Confirmed, or declined.
    pub confirmed: bool,
}

/// Body of `POST /sessions/leave`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(samples::leave))]
pub struct LeaveBody {
    /// Which session.
    #[schema(value_type = Uuid)]
    pub session_id: String,
}

/// Body of `POST /dev/token`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(samples::token_body))]
pub struct TokenBody {
    /// For whom.
    #[schema(value_type = values::AskedUserId)]
    pub user_id: String,
}
