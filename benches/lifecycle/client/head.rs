//! The head of an answer.

/// Longest head that is taken.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is needed of an answer's head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Length of the body.
    pub length: usize,
    /// Length of the head itself.
    pub bytes: usize,
    /// The server closes the connection after this answer.
    pub closes: bool,
}

/// The head at the beginning of `bytes`; nothing where more bytes are needed.
///
/// # Errors
///
/// What is wrong with it, bodies of unknown length included: the server has none.
pub fn parse_head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let searched = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
        let too_long = bytes.len() >= HEAD_BYTES_MAX;
        return if too_long {
            Err("a head that is too long")
        } else {
            Ok(None)
        };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is not UTF-8")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status).ok_or("no status line")?;
    // Switching protocols and "no content" have none, whatever they say.
    let mut length = matches!(status, 101 | 204 | 304).then_some(0);
    let mut closes = false;
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or("a header line without a colon")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let number = value
                .parse()
                .map_err(|_| "a content-length that is no number")?;
            length = length.or(Some(number));
        } else if name.eq_ignore_ascii_case("connection") {
            closes |= value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(Head {
        status,
        length: length.ok_or("a body of unknown length")?,
        bytes: end + 4,
        closes,
    }))
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}
