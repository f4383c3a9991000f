//! Messages that come in parts (RFC 6455, section 5.4).

use actix_http::ws::Item;

use domain::limits::SOCKET_MESSAGE_BYTES_MAX;

/// The message that is under way. Nothing is done with it, but text has to be text.
#[derive(Debug, Default)]
pub struct Parts {
    is_text: bool,
    bytes: Vec<u8>,
}

/// Why a message in parts is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than a message may be.
    TooLong,
    /// It says that it is text, and is no UTF-8.
    NoText,
}

impl Parts {
    /// Takes one more part. That parts come in order has been seen to.
    ///
    /// # Errors
    ///
    /// [`Fault`]; the socket is to be closed then.
    pub fn add(&mut self, part: &Item) -> Result<(), Fault> {
        let (bytes, is_last) = match part {
            Item::FirstText(bytes) => {
                self.is_text = true;
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.is_text = false;
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.bytes.len() + bytes.len() > SOCKET_MESSAGE_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        if !is_last {
            return Ok(());
        }
        let whole = std::mem::take(&mut self.bytes);
        match !self.is_text || std::str::from_utf8(&whole).is_ok() {
            true => Ok(()),
            false => Err(Fault::NoText),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_cut_by_the_end_of_a_part() {
        let [head, tail] = [&"ü".as_bytes()[..1], &"ü".as_bytes()[1..]];
        let mut parts = Parts::default();

        assert_eq!(parts.add(&Item::FirstText(head.to_vec().into())), Ok(()));
        assert_eq!(parts.add(&Item::Last(tail.to_vec().into())), Ok(()));

        assert_eq!(parts.add(&Item::FirstText(head.to_vec().into())), Ok(()));
        let cut = parts.add(&Item::Last(head.to_vec().into()));
        assert_eq!(cut, Err(Fault::NoText));
    }

    #[test]
    fn any_bytes_are_a_binary_message_up_to_its_longest() {
        let mut parts = Parts::default();
        let half = vec![0xff; SOCKET_MESSAGE_BYTES_MAX / 2];

        for _ in 0..3 {
            let first = parts.add(&Item::FirstBinary(half.clone().into()));
            let last = parts.add(&Item::Last(half.clone().into()));
            assert_eq!((first, last), (Ok(()), Ok(())));
        }
        assert_eq!(parts.add(&Item::FirstBinary(half.clone().into())), Ok(()));
        assert_eq!(parts.add(&Item::Continue(half.into())), Ok(()));
        let beyond = parts.add(&Item::Continue(vec![0].into()));
        assert_eq!(beyond, Err(Fault::TooLong));
    }
}
