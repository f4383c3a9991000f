//! Every hard bound, each with its unit; relations between them are checked while compiling.

use std::num::NonZeroU32;

/// Longest user id, in bytes.
pub const USER_ID_BYTES_MAX: usize = 255;
/// Longest topic after trimming, in characters.
pub const TOPIC_CHARS_MAX: usize = 64;
/// People that one ticket remembers not to meet again; the oldest are forgotten first.
pub const AVOIDED_MAX: usize = 32;
/// Silences in a row with which a ticket ends.
pub const SILENCES_MAX: u8 = 2;
/// Commands that wait at one ticket or match for a write under way; one more is refused.
pub const PARKED_MAX: usize = 16;
/// Longest time a canceller waits for the outcome of a proposal, in milliseconds.
pub const CANCEL_WAIT_MS: u64 = 1_000;
/// What a confirmation window that ran out while the server was down gets more, in milliseconds.
pub const DOWNTIME_GRACE_MS: u64 = 10_000;
/// How long after the confirmation window the opening of a session is tried, in milliseconds.
pub const OPENING_GIVE_UP_MS: u64 = 30_000;
/// How long the second confirmation waits for a question, so that it is stored together with the rows of
/// the session, in milliseconds. After that it is stored by itself.
pub const TOGETHER_MS: u64 = 100;
/// Nearer to the end of the confirmation window than this the second confirmation is stored by itself at
/// once, in milliseconds: a shared session that cannot be had must not cost it the match.
pub const TOGETHER_MARGIN_MS: u64 = 2_000;
/// First wait before something that failed is tried again, in milliseconds.
pub const RETRY_FIRST_MS: u64 = 100;
/// Longest wait before something that failed is tried again, in milliseconds.
pub const RETRY_MAX_MS: u64 = 2_000;
/// Longest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 16_384;
/// Longest path of a request with its query, in bytes.
pub const PATH_BYTES_MAX: usize = 8_192;
/// All headers of a request together, in bytes.
pub const HEADERS_BYTES_MAX: usize = 32_768;
/// Longest time until the head or the body of a request is complete, in milliseconds.
pub const REQUEST_READ_MS: u64 = 10_000;
/// Users whose rate of asks is remembered at a time.
pub const RATED_USERS_MAX: usize = 100_000;
/// Bytes that wait in the kernel, unsent, for one client that does not read.
pub const UNSENT_BYTES_MAX: u32 = 32 * 1024;
/// Longest message that a client may send on its socket, in bytes.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 4_096;
/// Messages that a client may send on its socket at once.
pub const SOCKET_MESSAGES_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Messages per second that a client may send on its socket after the burst.
pub const SOCKET_MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();

const _: () = assert!(RETRY_FIRST_MS < RETRY_MAX_MS, "waits grow");
const _: () = assert!(RETRY_MAX_MS < OPENING_GIVE_UP_MS, "there is a second try");
const _: () = assert!(SILENCES_MAX > 1, "one silence alone never ends a ticket");

/// The configurable durations of the lifecycle, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// How long a ticket waits, each time that it begins to wait.
    pub ticket_wait_ms: u64,
    /// How long a proposal waits for both answers.
    pub confirm_window_ms: u64,
    /// How long a session lasts from its beginning.
    pub session_ttl_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ticket_wait_ms: 60_000,
            confirm_window_ms: 120_000,
            session_ttl_ms: 21_600_000,
        }
    }
}
