//! The queues' mirror and the shared sessions on Redis.

mod aftermath;
mod debtor;
mod debts;
mod desired;
mod fallback;
mod link;
mod marker;
mod mirror;
mod own;
mod rewrite;
mod sessions;
mod unknown;

pub use fallback::RedisFallback;
pub use link::{InvalidRedis, RedisLink, RedisOptions};
pub use mirror::{OpenSessions, RedisMirror};
pub use sessions::RedisSessions;
