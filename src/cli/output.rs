//! Standard output: data only, as tables for people. When nobody reads it any more, the program
//! ends without a message.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};
use std::os::fd::AsFd as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use galley_protocol::Status;
use galley_protocol::harmless::{harmless, harmless_json};
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use super::error::CommandError;
use super::exit::Exit;

/// Prints JSON, or harmless text, and ends its line.
pub fn print(text: &str) -> Result<(), CommandError> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    write(&format!("{text}{end}"))
}

/// Prints JSON, or harmless text, unchanged.
pub fn write(text: &str) -> Result<(), CommandError> {
    let mut output = std::io::stdout().lock();
    let text = harmless_json(text);
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return CommandError::Quiet(Exit::Done);
        }
        CommandError::failed(format_args!("cannot write: {error}"))
    })
}

/// Waits until nobody reads standard output any more, even while there is nothing to write. Waits
/// forever if that cannot be detected: a file has no reader, and a terminal sends a signal instead.
pub async fn closed() {
    let watched = stdout().as_fd().try_clone_to_owned().ok().filter(|output| !output.is_terminal());
    // The unchecked constructor leaves the pipe blocking, as the prints need it. Nothing is written
    // through this handle.
    let watched = watched.and_then(|output| Sender::from_owned_fd_unchecked(output).ok());
    match watched {
        Some(output) if output.ready(Interest::ERROR).await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Formats things as a table, one per line, under the names of their columns. No cell can look like
/// several cells or lines.
pub fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = plain();
    table.set_header(columns.map(str::to_uppercase));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| harmless(&cell))));
    lines(&table)
}

/// Formats one thing, with one field per line.
pub fn card<const N: usize>(fields: [(&str, String); N]) -> String {
    let mut table = plain();
    table.add_rows(fields.map(|(name, value)| [name.to_owned(), harmless(&value)]));
    lines(&table)
}

/// Formats a list within a cell; `-` if it is empty.
pub fn list<T: Display>(entries: &[T]) -> String {
    if entries.is_empty() {
        return "-".to_owned();
    }
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Formats a value; `-` if it is absent.
pub fn optional<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Parses a duration above zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match galley_launch::parse_duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

/// Parses a status. `in-progress` and `IN_PROGRESS` are the same.
pub fn parse_status(text: &str) -> Result<Status, String> {
    text.to_uppercase().replace('-', "_").parse().map_err(|_| {
        let [others @ .., last] =
            &Status::ALL.map(|status| status.as_str().to_lowercase().replace('_', "-"));
        format!("must be {} or {last}", others.join(", "))
    })
}

/// Returns a table without borders and colours, whose columns `awk` can split.
fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().strip_prefix(' ').unwrap_or_default().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use galley_protocol::Status;

    use super::{card, list, optional, parse_status, table};

    #[test]
    fn tables_are_columns_without_borders() {
        let rows =
            [["1".to_owned(), "Tarte à l'œuf".to_owned()], ["12".to_owned(), "Soup".to_owned()]];
        assert_eq!(table(["id", "name"], rows), "ID  NAME\n1   Tarte à l'œuf\n12  Soup\n");
        assert_eq!(table(["id", "name"], []), "ID  NAME\n");
        assert_eq!(
            card([("id", "1".to_owned()), ("planet", "Mars".to_owned())]),
            "id      1\nplanet  Mars\n"
        );
    }

    #[test]
    fn no_text_forges_a_row_or_a_column() {
        let evil = || "Soup\n13  Cake  free\u{1b}[1A\u{202e}x".to_owned();
        assert_eq!(
            table(["id", "name"], [["12".to_owned(), evil()]]),
            "ID  NAME\n12  Soup 13 Cake free·[1A·x\n"
        );
        assert_eq!(
            card([("name", evil()), ("planet", "Mars".to_owned())]),
            "name    Soup 13 Cake free·[1A·x\nplanet  Mars\n"
        );
    }

    #[test]
    fn what_is_absent_is_a_dash() {
        assert_eq!(list::<String>(&[]), "-");
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(optional(None::<i32>), "-");
    }

    #[test]
    fn a_status_may_be_typed_in_lower_case() {
        for text in ["in-progress", "IN_PROGRESS", "in_progress"] {
            assert_eq!(parse_status(text), Ok(Status::InProgress));
        }
        assert!(parse_status("done").is_err());
    }
}
