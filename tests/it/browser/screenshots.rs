//! Pictures of every state of both pages, for people to look at: `tests/screenshots FOLDER`.
