//! Secrets in files: `NAME_FILE` names a file that holds the value of the variable `NAME`, as
//! orchestrators mount secrets. This holds for each setting whose value the help hides, unless the
//! program has an option for the file already.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{metadata, read};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// Maximum size of such a file in bytes: a larger one is a mistake.
const MOST: u64 = 16 * 1_024;

/// Returns the variable that names the file of another variable.
#[must_use]
pub fn file_variable(variable: &str) -> String {
    format!("{variable}_FILE")
}

/// Returns the file of this variable, if one is named. An empty variable is one that is not set.
#[must_use]
pub fn named_file(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(file_variable(variable)).filter(|path| !path.is_empty());
    path.filter(|_| !variable.is_empty()).map(PathBuf::from)
}

/// Reads a secret from its file. An end of line is no part of it.
///
/// # Errors
/// A message for people, which names the file and shows nothing of its content.
pub fn read_secret(path: &Path) -> Result<String, String> {
    let cannot = |why: &str| format!("cannot read {}: {why}", path.display());
    let secret =
        String::from_utf8(read_secret_bytes(path)?).map_err(|_| cannot("it is not UTF-8"))?;
    if secret.trim().is_empty() {
        return Err(cannot("it is empty"));
    }
    Ok(secret)
}

/// Like [`read_secret`], for a secret of any bytes, or none.
///
/// # Errors
/// A message for people, which names the file and shows nothing of its content.
pub(crate) fn read_secret_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |why: &dyn Display| format!("cannot read {}: {why}", path.display());
    let size = metadata(path).map_err(|error| cannot(&error))?.len();
    // Checked first: reading would load a file of any size.
    if size > MOST {
        return Err(cannot(&format_args!("it has more than {MOST} bytes")));
    }
    let mut secret = read(path).map_err(|error| cannot(&error))?;
    if secret.pop_if(|last| *last == b'\n').is_some() {
        secret.pop_if(|last| *last == b'\r');
    }
    Ok(secret)
}

/// Gives each hidden setting the content of its file as its default, so that an option still wins.
///
/// # Errors
/// A file that cannot be read, or a variable that is set beside its file.
pub(crate) fn with_secret_files(command: Command) -> Result<Command, Error> {
    let mut failure = None;
    let mut command = with_files_of(command, &mut failure);
    match failure {
        Some(why) => Err(command.error(ErrorKind::ValueValidation, why)),
        None => Ok(command),
    }
}

fn with_files_of(command: Command, failure: &mut Option<String>) -> Command {
    let own: Vec<OsString> =
        command.get_arguments().filter_map(|arg| arg.get_env().map(OsString::from)).collect();
    let command = command.mut_args(|arg| match secret_of(&arg, &own) {
        // The command line of a process is read once, so that little is leaked.
        Some(Ok(secret)) => {
            arg.required(false).default_value(&*secret.leak()).hide_default_value(true)
        }
        Some(Err(why)) => {
            failure.get_or_insert(why);
            arg
        }
        None => arg,
    });
    command.mut_subcommands(|inner| with_files_of(inner, failure))
}

/// Returns the secret in the file of this setting; `None` if no file is named, or if an option of
/// the program names it.
fn secret_of(arg: &Arg, own: &[OsString]) -> Option<Result<String, String>> {
    let variable = arg.get_env().and_then(|name| name.to_str())?;
    let by_file = file_variable(variable);
    if !arg.is_hide_env_values_set() || own.iter().any(|name| *name == *by_file) {
        return None;
    }
    let path = named_file(variable)?;
    if std::env::var_os(variable).is_some_and(|value| !value.is_empty()) {
        return Some(Err(format!("set one of {variable} and {by_file}, not both")));
    }
    Some(read_secret(&path).map_err(|why| format!("{by_file}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::read_secret;

    #[test]
    fn a_secret_is_one_line_and_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("url");
        for (text, secret) in [
            ("redis://a", "redis://a"),
            ("redis://a\n", "redis://a"),
            ("redis://a\r\n", "redis://a"),
        ] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(read_secret(&path).as_deref(), Ok(secret));
        }
        for (text, why) in [(String::new(), "empty"), ("x".repeat(20_000), "more than")] {
            std::fs::write(&path, text).expect("a file");
            let error = read_secret(&path).expect_err("no secret");
            assert!(error.contains(why) && !error.contains("xxx"), "{error}");
        }
        let error = read_secret(&folder.path().join("none")).expect_err("no file");
        assert!(error.starts_with("cannot read"), "{error}");
    }
}
