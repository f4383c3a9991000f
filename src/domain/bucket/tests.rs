//! The bucket's flows.
