//! Names of the store's metrics.

/// How many writes shared a transaction; histogram.
pub(super) const GROUP_SIZE: &str = "matchmaker_store_group_size";
/// From handing a write over to its answer, in seconds; histogram.
pub(super) const WRITE_SECONDS: &str = "matchmaker_store_write_seconds";
/// Writes that wait to be taken; gauge.
pub(super) const QUEUE_DEPTH: &str = "matchmaker_store_queue_depth";
/// Writes answered as unavailable without having been tried, or given up, by reason; counter.
pub(super) const REFUSED_TOTAL: &str = "matchmaker_store_refused_total";
