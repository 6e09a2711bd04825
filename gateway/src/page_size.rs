//! The bound of a page in bytes, for REST and sockets. The bound in entries alone would allow pages
//! of many megabytes, one for each client that does not read.

use std::io::{self, Write};

use galley_protocol::PageCursor;
use galley_protocol::frame::Page;
use serde::Serialize;

/// The most bytes of the entries of a page as JSON. A page ends early at the bound, but holds at
/// least one entry, which is shorter.
pub const MAX_PAGE_BYTES: usize = 256 * 1_024;

/// Ends a page before it is too long. The next page begins there.
pub fn bounded<T: Serialize>(mut page: Page<T>, id: impl Fn(&T) -> i64) -> Page<T> {
    let mut bytes = 0;
    let fitting = page.items.iter().take_while(|entry| {
        bytes += length(entry);
        bytes <= MAX_PAGE_BYTES
    });
    let fitting = fitting.count().max(1);
    if fitting < page.items.len() {
        page.items.truncate(fitting);
        page.next_cursor = page.items.last().map(|last| PageCursor::after(id(last)));
    }
    page
}

fn length(entry: &impl Serialize) -> usize {
    let mut length = ByteCount(0);
    serde_json::to_writer(&mut length, entry).expect("an entry has a JSON form");
    length.0
}

struct ByteCount(usize);

impl Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::PageCursor;
    use galley_protocol::frame::Page;

    use super::{MAX_PAGE_BYTES, bounded};

    #[test]
    fn a_page_ends_before_it_is_too_long_but_holds_an_entry() {
        let cut = |sizes: &[usize]| {
            let items = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let page = bounded(Page { items, next_cursor: None }, |_| 7);
            (page.items.len(), page.next_cursor.map(PageCursor::get))
        };
        let half = MAX_PAGE_BYTES / 2 - 2; // with the quotes
        assert_eq!(cut(&[half, half]), (2, None));
        assert_eq!(cut(&[half, half, 1]), (2, Some(7)));
        assert_eq!(cut(&[MAX_PAGE_BYTES, 1]), (1, Some(7)));
        assert_eq!(cut(&[]), (0, None));
    }
}
