//! What is not valid is refused with the code of contract §2, and nothing changes.

mod bodies;
mod paths;
mod transport;

use crate::harness::scenes::Standing;
use crate::harness::*;

/// Limits that a long table does not run into.
async fn patient_server() -> Server {
    Server::with("ASK_BURST", 100_000).start().await
}

/// Bodies that are no JSON object at all, with the code that each deserves.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let deep = |open: &str, close: &str, levels| open.repeat(levels) + &close.repeat(levels);
    vec![
        ("nothing", Vec::new(), 400),
        ("white space", b" \n\t ".to_vec(), 400),
        ("half an object", b"{\"topic\": \"Array\"".to_vec(), 400),
        ("two objects", b"{}{}".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("a number", b"17".to_vec(), 400),
        ("a text", b"\"Easy\"".to_vec(), 400),
        ("a list", b"[\"Easy\", \"Array\"]".to_vec(), 400),
        ("no field", b"{}".to_vec(), 400),
        ("a form", b"difficulty=Easy&topic=Array".to_vec(), 400),
        ("XML", b"<request/>".to_vec(), 400),
        ("no UTF-8", b"{\"topic\": \"\xff\xfe\"}".to_vec(), 400),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec(), 400),
        (
            "half a surrogate",
            b"{\"topic\": \"\\ud800\"}".to_vec(),
            400,
        ),
        ("NUL bytes", vec![0; 100], 400),
        ("lists in lists", deep("[", "]", 8_000).into_bytes(), 400),
        (
            "objects in objects",
            deep("{\"a\":", "}", 2_000).into_bytes(),
            400,
        ),
        (
            "a deep field",
            format!("{{\"x\":{}}}", deep("[", "]", 7_000)).into_bytes(),
            400,
        ),
        ("16 KiB and one byte", vec![b' '; 16 * 1024 + 1], 413),
        ("a megabyte", vec![b'x'; 1024 * 1024], 413),
    ]
}

/// Asserts that `reply` is refused with `status`, and says nothing internal.
#[track_caller]
fn refused(reply: &Reply, status: u16, fault: &str) {
    assert_eq!(
        reply.status, status,
        "{fault}: {} was answered {}",
        reply.what, reply.text
    );
    reply.expect(status);
    let detail = text(&reply.json, "detail");
    for internal in [
        "src/", ".rs", "panicked", "serde", "Sqlite", "SELECT", "INSERT",
    ] {
        assert!(!detail.contains(internal), "{fault}: {detail}");
    }
}
