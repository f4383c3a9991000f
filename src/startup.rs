//! What the process needs from its operating system before anything else starts.

use std::io;

use rlimit::Resource;

/// Open files besides the sockets: the database, neighbours, listeners, HTTP connections.
pub const FILES_BESIDE_SOCKETS: u64 = 512;
/// Fewest open files with which starting makes sense.
pub const OPEN_FILES_MIN: u64 = 256;

/// The open-file limit is so low that the server could not serve anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the limit of open files is {limit} and may not be raised, but the server needs at least \
     {OPEN_FILES_MIN}: raise it with `ulimit -n {needed}` or the LimitNOFILE of the service"
)]
pub struct OpenFileLimitTooLow {
    /// The most that this process may open.
    pub limit: u64,
    /// What it would like to open.
    pub needed: u64,
}

/// Makes room for `needed` open files, as far as that is allowed, and answers with the limit that
/// is then in force.
///
/// A process may raise its soft limit up to its hard limit, and with privileges the hard limit as
/// well; both are tried, and neither is ever lowered. An answer below `needed` means that fewer
/// sockets fit than are configured, about the answer minus [`FILES_BESIDE_SOCKETS`]: the server
/// works, and its caller warns. The usual `needed` is `MAX_SOCKETS` + [`FILES_BESIDE_SOCKETS`].
///
/// # Errors
///
/// [`OpenFileLimitTooLow`] below [`OPEN_FILES_MIN`] (or below `needed`, if that is even less): a
/// server that runs out of files in normal operation is worse than one that does not start.
pub fn raise_open_file_limit(needed: u64) -> Result<u64, OpenFileLimitTooLow> {
    let limit = raised(needed).unwrap_or_else(|_| current());
    if limit < needed.min(OPEN_FILES_MIN) {
        return Err(OpenFileLimitTooLow { limit, needed });
    }
    Ok(limit)
}

fn raised(needed: u64) -> io::Result<u64> {
    let (soft, hard) = Resource::NOFILE.get()?;
    if soft >= needed {
        return Ok(soft);
    }
    if hard < needed && Resource::NOFILE.set(needed, needed).is_ok() {
        return Ok(needed);
    }
    let reachable = needed.min(hard);
    Resource::NOFILE.set(reachable, hard)?;
    Ok(reachable)
}

/// The soft limit; where it cannot be read there is none to run into.
fn current() -> u64 {
    Resource::NOFILE.get().map_or(u64::MAX, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test for all, because the limit belongs to the process that all tests share.
    #[test]
    fn the_limit_is_raised_as_far_as_it_may_and_never_lowered() {
        let (soft, hard) = Resource::NOFILE.get().unwrap();
        let needed = (soft + 1).min(hard);

        let enough = raise_open_file_limit(needed).unwrap();
        let less = raise_open_file_limit(1).unwrap();
        let most = raise_open_file_limit(u64::MAX - 1).unwrap();

        assert_eq!((enough, less), (needed.max(soft), needed.max(soft)));
        assert!((hard..u64::MAX - 1).contains(&most), "{most}");
        assert_eq!(current(), most);
    }

    #[test]
    fn a_hopeless_limit_is_one_sentence_that_tells_the_way_out() {
        let error = OpenFileLimitTooLow {
            limit: 100,
            needed: 20_512,
        };

        let sentence = "the limit of open files is 100 and may not be raised, but the server needs \
                        at least 256: raise it with `ulimit -n 20512` or the LimitNOFILE of the \
                        service";
        assert_eq!(error.to_string(), sentence);
    }
}
