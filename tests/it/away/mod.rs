//! What happens while a neighbour is away, seen through the whole server on real ones.

mod fallback;
