//! Which request something happens for: known from the edge to the store, in every line of the log and
//! in traces.
//!
//! A cause travels with commands, facts and writes. Whoever carries one of them out enters its cause
//! for as long as that lasts, and whatever is logged, reported or handed over meanwhile belongs to it.
//! Entering costs some nanoseconds; spans are made only where traces are sent.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use opentelemetry::Value;
use opentelemetry::trace::{SpanContext, SpanKind};
use pin_project_lite::pin_project;
use uuid::Uuid;

use super::trace_context;
use super::traces::{self, Span};

/// Longest id of a request that is taken over from its caller, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// How many requests of several are named.
const NAMED_MAX: usize = 8;

thread_local! {
    static CURRENT: RefCell<Cause> = const { RefCell::new(Cause::NONE) };
}

/// The name of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// Made here.
    Own(Uuid),
    /// The caller's own.
    Given(Arc<str>),
}

impl RequestId {
    /// A fresh one.
    pub fn fresh() -> Self {
        Self::Own(Uuid::new_v4())
    }

    /// The caller's own, if it is short and harmless wherever it is written.
    pub fn given(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_short = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len());
        (is_short && text.bytes().all(fits)).then(|| Self::Given(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => id.as_hyphenated().fmt(f),
            Self::Given(text) => f.write_str(text),
        }
    }
}

/// The request that something happens for, if it is for any.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    pub(super) request: Option<RequestId>,
    /// The step that leads to what happens, or what the caller said of its own; nothing where nobody
    /// traces the request.
    pub(super) span: Option<Arc<SpanContext>>,
}

impl Cause {
    /// Nobody: time has come, or the server does it of its own accord.
    pub const NONE: Self = Self {
        request: None,
        span: None,
    };

    /// A request as it comes in, with its caller's `traceparent` and `tracestate`, which are left out
    /// where they are not well-formed.
    pub fn of_request(
        request: RequestId,
        traceparent: Option<&str>,
        tracestate: Option<&str>,
    ) -> Self {
        let span = traceparent.and_then(|parent| trace_context::parse(parent, tracestate));
        Self {
            request: Some(request),
            span: span.map(Arc::new),
        }
    }

    /// What is carried out on this thread at this moment.
    pub fn current() -> Self {
        // Nothing is carried out while a thread ends.
        CURRENT
            .try_with(|current| current.borrow().clone())
            .unwrap_or_default()
    }

    /// All of these together, for what concerns all of them.
    pub fn of_all<'a>(causes: impl ExactSizeIterator<Item = &'a Self>) -> Self {
        let count = causes.len();
        let mut causes = causes.filter(|cause| cause.request.is_some()).peekable();
        let Some(first) = causes.next() else {
            return Self::NONE;
        };
        if causes.peek().is_none() {
            return first.clone();
        }
        let mut names: Vec<String> = std::iter::once(first)
            .chain(causes)
            .take(NAMED_MAX)
            .filter_map(|cause| cause.request.as_ref().map(ToString::to_string))
            .collect();
        if count > NAMED_MAX {
            names.push("...".to_owned());
        }
        Self {
            request: Some(RequestId::Given(names.join(",").into())),
            span: None,
        }
    }

    /// Whether there is one.
    pub fn is_known(&self) -> bool {
        self.request.is_some()
    }

    /// Whether it is this one.
    pub fn is_for(&self, request: &RequestId) -> bool {
        self.request.as_ref() == Some(request)
    }

    /// Whether traces of it are sent.
    pub fn is_traced(&self) -> bool {
        traces::are_sent() && self.span.as_ref().is_some_and(|span| span.is_sampled())
    }

    /// What happens on this thread until the guard is dropped happens for this.
    pub fn enter(&self) -> Entered {
        Entered {
            before: replace(self.clone()),
            of_thread: PhantomData,
        }
    }

    /// All that `future` does happens for this.
    pub fn within<F: Future>(self, future: F) -> Within<F> {
        Within {
            cause: self,
            future,
        }
    }

    /// Begins a step of what the request leads to.
    pub fn step(&self, name: &'static str) -> Step {
        self.begin(SpanKind::Internal, None, name)
    }

    /// Like [`Self::step`], for a step that `other` has a part in as well.
    pub fn step_with(&self, other: &Self, name: &'static str) -> Step {
        self.begin(SpanKind::Internal, other.span.as_deref(), name)
    }

    /// Begins a call to a backend or another service.
    pub fn call(&self, name: &'static str) -> Step {
        self.begin(SpanKind::Client, None, name)
    }

    /// Begins to serve the request: the first step. What it is called is asked for only where
    /// somebody sees it.
    pub fn serve(&self, describe: impl FnOnce(&mut Step) -> Cow<'static, str>) -> Step {
        let span = traces::begin(self, SpanKind::Server, None, "request");
        let is_shown = span.is_some();
        let mut step = Step::new(self, span);
        if is_shown {
            let name = describe(&mut step);
            step.rename(name);
        }
        step
    }

    /// The headers that tell another service which request this is for.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(request) = &self.request {
            headers.push(("x-request-id", request.to_string()));
        }
        if let Some(span) = &self.span {
            headers.push(("traceparent", trace_context::traceparent(span)));
            let state = span.trace_state().header();
            if !state.is_empty() {
                headers.push(("tracestate", state));
            }
        }
        headers
    }

    /// What nobody has begun to trace is not traced from its middle on.
    fn begin(&self, kind: SpanKind, other: Option<&SpanContext>, name: &'static str) -> Step {
        let span = self.span.as_ref();
        let span = span.and_then(|_| traces::begin(self, kind, other, name));
        Step::new(self, span)
    }
}

fn replace(cause: Cause) -> Cause {
    CURRENT
        .try_with(|current| current.replace(cause))
        .unwrap_or_default()
}

/// Until it is dropped, what happens on this thread happens for one cause.
#[must_use]
pub struct Entered {
    before: Cause,
    /// It must be dropped where it was made.
    of_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        replace(std::mem::take(&mut self.before));
    }
}

pin_project! {
    /// A future, all of which happens for one cause.
    pub struct Within<F> {
        cause: Cause,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.cause.enter();
        this.future.poll(context)
    }
}

/// A step of what a request leads to: in traces a span, which ends when this is dropped.
#[derive(Debug)]
pub struct Step {
    span: Option<Box<Span>>,
    cause: Cause,
}

impl Step {
    fn new(before: &Cause, span: Option<Box<Span>>) -> Self {
        let cause = match &span {
            None => before.clone(),
            Some(span) => Cause {
                request: before.request.clone(),
                span: Some(Arc::new(span.context())),
            },
        };
        Self { span, cause }
    }

    /// The cause of what this step leads to.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// As [`Cause::enter`], for what this step leads to.
    pub fn enter(&self) -> Entered {
        self.cause.enter()
    }

    /// Tells something of it that is known meanwhile.
    pub fn tell(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.tell(key, value.into());
        }
    }

    fn rename(&mut self, name: Cow<'static, str>) {
        if let Some(span) = &mut self.span {
            span.rename(name);
        }
    }

    /// It has failed.
    pub fn fail(&mut self, reason: impl fmt::Display) {
        if let Some(span) = &mut self.span {
            span.fail(reason.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn cause(name: &str) -> Cause {
        Cause::of_request(RequestId::given(name).unwrap(), None, None)
    }

    fn current() -> String {
        let current = Cause::current().request;
        current.map(|id| id.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_short_and_harmless_ids_are_taken_over() {
        let longest = "x".repeat(64);
        for sound in ["1", "Aa0._-", longest.as_str()] {
            let id = RequestId::given(sound).map(|id| id.to_string());
            assert_eq!(id.as_deref(), Some(sound));
        }
        let long = "x".repeat(65);
        for other in ["", "a b", "a\"b", "a\nb", "é", "{}", "a=b", long.as_str()] {
            assert_eq!(RequestId::given(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_was_current_before_is_current_again_afterwards() {
        assert_eq!(current(), "");
        {
            let _outer = cause("outer").enter();
            {
                let _inner = cause("inner").enter();
                assert_eq!(current(), "inner");
            }
            assert_eq!(current(), "outer");
        }
        assert_eq!(current(), "");
    }

    #[test]
    fn a_future_is_within_its_cause_whenever_it_goes_on_and_nobody_else_is() {
        let mut future = Box::pin(cause("its").within(async {
            let before = current();
            tokio::task::yield_now().await;
            (before, current())
        }));

        let waits = (&mut future).now_or_never().is_none();
        let between = current();
        let _other = cause("other").enter();
        let seen = futures_util::FutureExt::now_or_never(future);

        assert!(waits);
        assert_eq!(between, "");
        assert_eq!(seen, Some(("its".to_owned(), "its".to_owned())));
    }

    #[test]
    fn what_concerns_several_names_each_of_them_up_to_a_bound() {
        let named = |count: usize| {
            let all: Vec<Cause> = (0..count).map(|n| cause(&n.to_string())).collect();
            let one = Cause::of_all(all.iter());
            one.request.map(|id| id.to_string()).unwrap_or_default()
        };

        assert_eq!(named(0), "");
        assert_eq!(named(1), "0");
        assert_eq!(named(3), "0,1,2");
        assert_eq!(named(9), "0,1,2,3,4,5,6,7,...");
        let some = [Cause::NONE, cause("one"), Cause::NONE];
        assert_eq!(Cause::of_all(some.iter()).request, cause("one").request);
    }

    #[test]
    fn another_service_is_told_the_request_and_what_the_caller_said_of_its_trace() {
        let id = RequestId::given("abc").unwrap();
        let told = |parent, state| {
            let headers = Cause::of_request(id.clone(), parent, state).headers();
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            lines.collect::<Vec<_>>().join("\n")
        };

        assert_eq!(told(None, None), "x-request-id: abc");
        assert_eq!(told(Some("00-1-2-01"), Some("a=b")), "x-request-id: abc");
        assert_eq!(
            told(Some(PARENT), Some("a=b")),
            format!("x-request-id: abc\ntraceparent: {PARENT}\ntracestate: a=b")
        );
        assert!(Cause::NONE.headers().is_empty());
    }

    #[test]
    fn without_a_collector_a_step_is_its_cause_and_nothing_more() {
        let step = cause("it").step("a step");

        assert!(step.span.is_none());
        assert_eq!(step.cause().request, cause("it").request);
    }
}
