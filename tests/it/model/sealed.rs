//! A value that many states share, and that knows what it hashes to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Most steps change one part of the world: the others need not be copied nor hashed again.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    value: Arc<T>,
    hash: u64,
}

impl<T: Clone + Hash> Sealed<T> {
    pub fn new(value: T) -> Self {
        let hash = hash_of(&value);
        let value = Arc::new(value);
        Self { value, hash }
    }

    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let value = Arc::make_mut(&mut self.value);
        let result = change(value);
        self.hash = hash_of(value);
        result
    }

    pub fn into_inner(self) -> T {
        Arc::unwrap_or_clone(self.value)
    }
}

impl<T> Deref for Sealed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Sealed<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.hash.hash(hasher);
    }
}

impl<T> PartialEq for Sealed<T> {
    /// The checker tells states apart by what they hash to, and so is this.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

fn hash_of<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
