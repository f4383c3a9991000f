//! Answers, held to OpenAPI.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use awc::http::header::HeaderMap;
use jsonschema::Validator;
use serde_json::Value;

use super::schemas::{Schemas, faults};

/// What a request that no operation belongs to may be answered, besides what each of these says below:
/// too long, our own fault, and not now.
const ANYWHERE: [u16; 4] = [414, 431, 500, 503];
/// What the HTTP library answers by itself to what is no HTTP, without a body.
const NO_HTTP: [u16; 3] = [400, 408, 431];

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let text = matchmaker::edge::openapi();
    Document::of(&serde_json::from_slice(text).expect("the document is JSON"))
});

/// An answer, and what was asked.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, with its query if there is one.
    pub target: &'a str,
    /// Whether a browser asks what a page may ask.
    pub is_preflight: bool,
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub text: &'a str,
}

/// Asserts that the document says that this may be answered.
#[track_caller]
pub fn assert_documented(answer: Answer<'_>) {
    if let Err(fault) = check(answer) {
        let Answer {
            method,
            target,
            status,
            text,
            ..
        } = answer;
        panic!("{method} {target} was answered {status}, {fault}: {text}");
    }
}

/// Whether the document says that this may be answered; else what is wrong.
pub fn check(answer: Answer<'_>) -> Result<(), String> {
    DOCUMENT.check(answer)
}

struct Document {
    paths: Vec<Path>,
    errors: BTreeMap<&'static str, Validator>,
}

struct Path {
    template: String,
    operations: BTreeMap<String, BTreeMap<u16, Response>>,
}

struct Response {
    headers: Vec<(String, Validator)>,
    content: BTreeMap<String, Validator>,
}

impl Document {
    fn of(document: &Value) -> Self {
        let schemas = Schemas::of(document);
        let errors = ["Problem", "NotFoundProblem", "InternalProblem"];
        let paths = object(&document["paths"]).map(|(template, item)| Path {
            template: template.clone(),
            operations: object(item)
                .map(|(method, operation)| {
                    let responses = object(&operation["responses"]).map(|(code, response)| {
                        let code = code.parse().expect("a status code");
                        (code, Response::of(resolved(document, response), &schemas))
                    });
                    (method.to_uppercase(), responses.collect())
                })
                .collect(),
        });
        Self {
            paths: paths.collect(),
            errors: errors.map(|name| (name, schemas.component(name))).into(),
        }
    }

    fn check(&self, answer: Answer<'_>) -> Result<(), String> {
        if answer.is_preflight {
            return self.check_preflight(answer);
        }
        if answer.text.is_empty()
            && NO_HTTP.contains(&answer.status)
            && !answer.headers.contains_key("x-request-id")
        {
            return Ok(());
        }
        let Some(path) = self.path(answer.target) else {
            return self.check_error(answer, 404);
        };
        let Some(operation) = path.operations.get(answer.method) else {
            let allowed: Vec<_> = path.operations.keys().map(String::as_str).collect();
            let told = header(answer.headers, "allow");
            if answer.status == 405 && told != Some(&allowed.join(", ")) {
                return Err(format!("`Allow` is {told:?} and not {allowed:?}"));
            }
            return self.check_error(answer, 405);
        };
        match operation.get(&answer.status) {
            Some(response) => response.check(answer),
            None => Err(format!("which {} does not document", path.template)),
        }
    }

    /// An answer where there is no operation: `expected`, or what can happen anywhere.
    fn check_error(&self, answer: Answer<'_>, expected: u16) -> Result<(), String> {
        if answer.status != expected && !ANYWHERE.contains(&answer.status) {
            return Err(format!(
                "not {expected}, although nothing is documented there"
            ));
        }
        if answer.method == "HEAD" {
            return Ok(());
        }
        let name = match answer.status {
            404 => "NotFoundProblem",
            500 => "InternalProblem",
            _ => "Problem",
        };
        check_json(&self.errors[name], answer)
    }

    fn check_preflight(&self, answer: Answer<'_>) -> Result<(), String> {
        match answer.status {
            200 | 204 => Ok(()),
            400 => check_json(&self.errors["Problem"], answer),
            _ => Err("which answers no preflight".to_owned()),
        }
    }

    /// The path that the target belongs to: the one with the most words of its own, where there are more.
    fn path(&self, target: &str) -> Option<&Path> {
        let target = target.split(['?', '#']).next().unwrap_or_default();
        // A target may name the server as well.
        let target = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        };
        let fitting = self.paths.iter().filter(|path| path.fits(target));
        fitting.min_by_key(|path| path.template.matches('{').count())
    }
}

impl Path {
    fn fits(&self, target: &str) -> bool {
        let mut asked = target.split('/');
        let fits = self.template.split('/').all(|part| match asked.next() {
            Some(asked) if part.starts_with('{') => !asked.is_empty(),
            asked => asked == Some(part),
        });
        fits && asked.next().is_none()
    }
}

impl Response {
    fn of(response: &Value, schemas: &Schemas) -> Self {
        let headers = object(&response["headers"]);
        let content = object(&response["content"]);
        Self {
            headers: headers
                .map(|(name, header)| (name.clone(), schemas.compile(&header["schema"])))
                .collect(),
            content: content
                .map(|(kind, content)| (kind.clone(), schemas.compile(&content["schema"])))
                .collect(),
        }
    }

    fn check(&self, answer: Answer<'_>) -> Result<(), String> {
        for (name, schema) in &self.headers {
            let told = header(answer.headers, name).ok_or(format!("without `{name}`"))?;
            let told = serde_json::from_str(told).unwrap_or_else(|_| Value::from(told));
            fitting(schema, &told).map_err(|fault| format!("with a bad `{name}`: {fault}"))?;
        }
        let kind = header(answer.headers, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        if self.content.is_empty() {
            return match answer.text.is_empty() {
                true => Ok(()),
                false => Err("which has no body".to_owned()),
            };
        }
        let schema = self.content.get(kind);
        let schema = schema.ok_or(format!("with `{kind}`, which is not documented"))?;
        match kind {
            "application/json" => check_json(schema, answer),
            _ => fitting(schema, &Value::from(answer.text)),
        }
    }
}

fn check_json(schema: &Validator, answer: Answer<'_>) -> Result<(), String> {
    let kind = header(answer.headers, "content-type");
    if kind != Some("application/json") {
        return Err(format!("as {kind:?} and not as JSON"));
    }
    let body = serde_json::from_str(answer.text);
    let body = body.or_else(|_| serde_json::from_str(&without_halves(answer.text)));
    let body = body.map_err(|fault| format!("which is no JSON ({fault})"))?;
    fitting(schema, &body)
}

/// The text without halves of surrogate pairs, which JSON lets others write and Rust's strings do not hold.
fn without_halves(text: &str) -> String {
    let mut parts = text.split("\\ud");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.get(3..).unwrap_or_default();
        whole.extend(["\\ufffd", rest]);
    }
    whole
}

fn fitting(schema: &Validator, value: &Value) -> Result<(), String> {
    match faults(schema, value) {
        nothing if nothing.is_empty() => Ok(()),
        faults => Err(format!("not as documented ({faults})")),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The response itself, where a reference to one of the components stands.
fn resolved<'a>(document: &'a Value, response: &'a Value) -> &'a Value {
    match response["$ref"].as_str() {
        Some(reference) => {
            &document["components"]["responses"][reference.rsplit('/').next().unwrap_or_default()]
        }
        None => response,
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
