//! The message "heroes or meals have changed": `galley3-menu <publisher>`, and the signature
//! ([`galley_protocol::message_keys`]). It says neither which nor how, because gateways read that
//! from the database. It has no number: whoever misses it reads within a second all the same. To
//! the version before it is a message of an unknown kind, which is passed over.

use galley_protocol::PublisherId;

const MENU: &str = "galley3-menu";

/// The shard on whose channel it is published.
pub(crate) const MENU_SHARD: u16 = 0;

pub(crate) fn encode_menu_message(publisher: PublisherId) -> Vec<u8> {
    format!("{MENU} {publisher}").into_bytes()
}

/// Reads the publisher; `None` for any other message. A newer version may append words.
pub(crate) fn decode_menu_message(message: &[u8]) -> Option<PublisherId> {
    let mut words = std::str::from_utf8(message).ok()?.split(' ');
    if words.next()? == MENU { words.next()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use galley_protocol::PublisherId;

    use super::{decode_menu_message, encode_menu_message};

    #[test]
    fn it_leads_back_to_its_publisher_and_nothing_else_does() {
        let publisher = PublisherId::new(7).expect("an id");
        let message = encode_menu_message(publisher);
        assert_eq!(message, b"galley3-menu 7");
        for message in [message, b"galley3-menu 7 more mac=x".to_vec()] {
            assert_eq!(decode_menu_message(&message), Some(publisher));
        }
        for other in [&b""[..], b"galley3-menu", b"galley3-menu x", b"galley3 7 1\n", b"\xff"] {
            assert_eq!(decode_menu_message(other), None, "{other:?}");
        }
    }
}
