//! The reasons why a file cannot be the database, with advice. Causes that waiting does not cure
//! are found before the file is opened.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use galley_protocol::network::reason;

use crate::StoreConnectError;

/// The first bytes of every `SQLite` database; an empty file is one, too.
const HEADER: &[u8] = b"SQLite format 3\0";

const ANOTHER: &str = "name another with --database-url sqlite://PATH";

pub(super) fn place(path: &Path) -> String {
    format!("SQLite at {}", path.display())
}

/// Creates the folders of the file. If the file exists, checks that it is writable and a database.
pub(super) fn prepare(path: &Path) -> Result<(), StoreConnectError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_dir_all(folder).map_err(|error| refused_folder(folder, &error))?;
    }
    if path.is_dir() {
        return Err(StoreConnectError::Refused(format!(
            "{} is a folder, not a database file; {ANOTHER}",
            path.display()
        )));
    }
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => check_header(path, file),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused_file(path, &error)),
    }
}

fn check_header(path: &Path, file: File) -> Result<(), StoreConnectError> {
    let mut begin = Vec::new();
    file.take(HEADER.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|error| refused_file(path, &error))?;
    if begin.is_empty() || begin == HEADER {
        return Ok(());
    }
    Err(StoreConnectError::Refused(format!(
        "{} is not a SQLite database; {ANOTHER}",
        path.display()
    )))
}

/// The error for a folder that cannot be created. For a relative path it names the working
/// directory, where people may not look for the file.
fn refused_folder(folder: &Path, error: &io::Error) -> StoreConnectError {
    let here = std::env::current_dir().ok().filter(|_| folder.is_relative());
    let within = here.map_or_else(String::new, |here| format!(" in {}", here.display()));
    StoreConnectError::Refused(format!(
        "cannot create {}/{within}: {}; {ANOTHER}",
        folder.display(),
        reason(error)
    ))
}

pub(super) fn refused_file(path: &Path, error: &io::Error) -> StoreConnectError {
    StoreConnectError::Refused(format!(
        "cannot write {}: {}; {ANOTHER}",
        path.display(),
        reason(error)
    ))
}
