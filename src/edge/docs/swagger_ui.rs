//! The files of Swagger UI, straight out of the archive that its crate embeds.
//!
//! The archive holds each file deflated, and that is what a gzip stream holds too. So nothing is
//! unpacked, here or while building: browsers do it. A crate that unpacks would cost half a minute
//! of every clean build.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

static SCRIPT: LazyLock<Option<Bytes>> = LazyLock::new(|| find(ARCHIVE, "swagger-ui-bundle.js"));
static STYLE: LazyLock<Option<Bytes>> = LazyLock::new(|| find(ARCHIVE, "swagger-ui.css"));

/// A file that a page needs, as a gzip stream.
pub fn gzip(name: &str) -> Option<&'static Bytes> {
    match name {
        "swagger-ui-bundle.js" => SCRIPT.as_ref(),
        "swagger-ui.css" => STYLE.as_ref(),
        _ => None,
    }
}

/// Looks `name` up in the directory at the end of a zip archive.
fn find(archive: &[u8], name: &str) -> Option<Bytes> {
    let path_end = format!("/dist/{name}");
    let end = archive.windows(4).rposition(|it| it == b"PK\x05\x06")?;
    let mut at = number(archive, end + 16, 4)?;
    loop {
        let entry = archive.get(at..)?.strip_prefix(b"PK\x01\x02")?;
        let path_bytes = number(entry, 24, 2)?;
        let path = entry.get(42..42 + path_bytes)?;
        if path.ends_with(path_end.as_bytes()) {
            return stream(archive, entry);
        }
        at += 46 + path_bytes + number(entry, 26, 2)? + number(entry, 28, 2)?;
    }
}

/// What `entry` of the directory describes, between the head and the tail of a gzip stream.
fn stream(archive: &[u8], entry: &[u8]) -> Option<Bytes> {
    const DEFLATED: usize = 8;
    if number(entry, 6, 2)? != DEFLATED {
        return None;
    }
    let (checksum_and_lengths, length) = (entry.get(12..24)?, number(entry, 16, 4)?);
    let file = archive.get(number(entry, 38, 4)?..)?;
    let begin = 30 + number(file, 26, 2)? + number(file, 28, 2)?;
    let deflated = file.get(begin..begin + length)?;
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (checksum, plain_length) = (&checksum_and_lengths[..4], &checksum_and_lengths[8..]);
    Some([&head, deflated, checksum, plain_length].concat().into())
}

/// The number of `bytes` bytes at `at`, the least one first.
fn number(data: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let digits = data.get(at..at + bytes)?.iter().rev();
    Some(digits.fold(0, |number, digit| number << 8 | usize::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_whole_gzip_stream() {
        for (name, shortest) in [
            ("swagger-ui-bundle.js", 1_000_000),
            ("swagger-ui.css", 100_000),
        ] {
            let stream = gzip(name).unwrap();

            assert!(stream.starts_with(&[0x1f, 0x8b, 8, 0]), "{name}");
            let plain_length = number(stream, stream.len() - 4, 4).unwrap();
            assert!(plain_length > shortest, "{name} has {plain_length} bytes");
        }
    }

    #[test]
    fn what_is_no_archive_or_not_in_it_is_not_found() {
        assert_eq!(gzip("swagger-ui.js.map"), None);
        assert_eq!(find(b"", "a"), None);
        assert_eq!(find(b"PK\x05\x06", "a"), None);
        assert_eq!(find(ARCHIVE, "no such file"), None);
        assert_eq!(find(&ARCHIVE[..ARCHIVE.len() / 2], "swagger-ui.css"), None);
    }
}
