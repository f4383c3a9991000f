//! Notices what goes wrong where nobody looks: a panic in a task, and a guarantee that the server
//! itself found broken.

use std::cell::RefCell;
use std::panic;
use std::sync::{Arc, Mutex, Once, PoisonError};

use matchmaker::observability::BREACHES;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics on this thread are remembered from now on, those in tasks too.
pub fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
}

/// What panicked on this thread.
pub fn panics() -> Vec<String> {
    PANICS.with_borrow(Vec::clone)
}

/// Counts breaches, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Breaches(Arc<Mutex<Vec<String>>>);

impl Breaches {
    pub fn seen(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct OfOne(Breaches, String);

impl CounterFn for OfOne {
    fn increment(&self, _: u64) {
        let mut seen = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(self.1.clone());
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Breaches {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() != BREACHES {
            return Counter::noop();
        }
        Counter::from_arc(Arc::new(OfOne(self.clone(), key.to_string())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
