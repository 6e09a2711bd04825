//! The secrets that sign and check tokens. They never appear in the help, in errors or in `Debug`
//! output.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use clap::Args;

use crate::Hidden;
use crate::secret_files::read_secret_bytes;

/// Minimum length in bytes: a key must be as long as the hash (RFC 7518 section 3.2).
const LEAST: usize = 32;
/// Maximum number of secrets. Each invalid token is checked with all of them.
const MOST_SECRETS: usize = 8;

/// Maximum length of a pattern whose repetition is no secret.
const PATTERN: usize = 12;
/// Minimum number of different bytes. Random digits of base 16 have twice as many.
const DIFFERENT: usize = 6;
/// Words of placeholders in documents and examples, without what separates them.
const EXAMPLES: [&str; 8] = [
    "chooseyourown",
    "changeme",
    "replaceme",
    "yoursecret",
    "examplesecret",
    "atleast32bytes",
    "headc48devurandom",
    "supersecret",
];

/// Where the secret is.
#[derive(Args, Clone, Debug)]
#[group(id = "secret")]
pub struct SecretArguments {
    /// The secret of the tokens (HS256), at least 32 bytes that nobody guesses; other users of the
    /// machine may see it among the arguments, so set the variable or name a file
    #[arg(long, env = "GALLEY_JWT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub jwt_secret: Option<Hidden>,

    /// A file that holds the secret, or several, each on a line of its own: the first signs, and all
    /// check
    #[arg(long, env = "GALLEY_JWT_SECRET_FILE", value_name = "PATH", hide_env_values = true)]
    pub jwt_secret_file: Option<PathBuf>,
}

/// The bytes of one secret.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// The secrets in force, at least one.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl SecretArguments {
    /// Reads the secrets.
    ///
    /// # Errors
    /// A message for people, without any part of a secret.
    pub fn read(&self) -> Result<Secrets, String> {
        self.find()?.ok_or_else(|| {
            "a secret is needed: set GALLEY_JWT_SECRET or GALLEY_JWT_SECRET_FILE".to_owned()
        })
    }

    /// Like [`SecretArguments::read`], but returns `None` if no secret is set. An empty setting
    /// counts as absent, as in an environment file.
    ///
    /// # Errors
    /// A message for people, without any part of a secret.
    pub fn find(&self) -> Result<Option<Secrets>, String> {
        let text = self.jwt_secret.as_ref().map(Hidden::reveal).filter(|text| !text.is_empty());
        let path = self.jwt_secret_file.as_ref().filter(|path| !path.as_os_str().is_empty());
        match (text, path) {
            (Some(text), None) => Secrets::parse(text.as_bytes()).map(Some),
            (None, Some(path)) => {
                let bytes = read_secret_bytes(path)
                    .map_err(|why| format!("the secret of GALLEY_JWT_SECRET_FILE: {why}"))?;
                Secrets::parse(&bytes).map(Some)
            }
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err("set one of GALLEY_JWT_SECRET and GALLEY_JWT_SECRET_FILE, not both".to_owned())
            }
        }
    }
}

impl Secrets {
    /// Reads one secret a line. Empty lines are passed over.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
        if lines.iter().any(|line| line.len() < LEAST) || lines.is_empty() {
            return Err(format!(
                "the secret of the tokens must have at least {LEAST} bytes, as must each line of its file"
            ));
        }
        if lines.len() > MOST_SECRETS {
            return Err(format!("more than {MOST_SECRETS} secrets of tokens: remove the oldest"));
        }
        if lines.iter().any(|line| is_weak(line)) {
            return Err("the secret of the tokens can be guessed: it repeats a few characters, or stands in \
                        the documents; make one with `head -c 48 /dev/urandom | base64`"
                .to_owned());
        }
        Ok(Self(lines.into_iter().map(Secret::of).collect()))
    }

    /// Returns the secret that signs new tokens: the first one.
    #[must_use]
    pub fn signing(&self) -> &Secret {
        &self.0[0]
    }

    /// Returns all secrets, each of which checks tokens.
    #[must_use]
    pub fn all(&self) -> &[Secret] {
        &self.0
    }
}

impl From<Secret> for Secrets {
    fn from(only: Secret) -> Self {
        Self(vec![only])
    }
}

/// Returns true for a secret that somebody would guess: a pattern of at most [`PATTERN`] bytes
/// again and again, a few different characters, or words of examples.
fn is_weak(secret: &[u8]) -> bool {
    let repeats = |length| secret.iter().skip(length).eq(&secret[..secret.len() - length]);
    let different = secret.iter().collect::<BTreeSet<_>>().len();
    let lower = String::from_utf8_lossy(secret).to_lowercase();
    let plain: String = lower.chars().filter(|letter| letter.is_alphanumeric()).collect();
    (1..=PATTERN).any(repeats)
        || different < DIFFERENT
        || EXAMPLES.iter().any(|example| plain.contains(example))
}

impl Secret {
    /// A secret of these bytes, of any length.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretArguments;

    const LONG: &str = "0123456789abcdef0123456789abcdef";

    fn read(text: Option<&str>, file: Option<&str>) -> Result<Vec<Vec<u8>>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, file.unwrap_or_default()).expect("a file");
        let arguments = SecretArguments {
            jwt_secret: text.map(|text| text.parse::<crate::Hidden>().expect("any text")),
            jwt_secret_file: file.map(|_| path),
        };
        arguments
            .read()
            .map(|secrets| secrets.all().iter().map(|one| one.bytes().to_vec()).collect())
    }

    #[test]
    fn a_secret_is_set_once_and_long_and_each_line_is_one() {
        let other = "fedcba9876543210fedcba9876543210";
        let one = Ok(vec![LONG.as_bytes().to_vec()]);
        let two = Ok(vec![LONG.as_bytes().to_vec(), other.as_bytes().to_vec()]);
        assert_eq!(read(Some(LONG), None), one);
        for file in [LONG.to_owned(), format!("{LONG}\n"), format!("{LONG}\r\n\n")] {
            assert_eq!(read(None, Some(&file)), one);
            assert_eq!(read(Some(""), Some(&file)), one, "an empty variable is none");
        }
        for file in [format!("{LONG}\n{other}"), format!("{LONG}\r\n\r\n{other}\r\n")] {
            assert_eq!(read(None, Some(&file)), two);
        }
        for (text, file, part) in [
            (None, None, "is needed"),
            (Some(LONG), Some(LONG), "not both"),
            (Some(&LONG[1..]), None, "32 bytes"),
            (None, Some(&LONG[1..]), "32 bytes"),
            (None, Some("\n"), "32 bytes"),
            (None, Some(&format!("{LONG}\n{}", &LONG[1..])), "32 bytes"),
            (None, Some(&format!("{LONG}\n").repeat(9)), "more than 8"),
            (None, Some(LONG.repeat(600).as_str()), "more than"),
        ] {
            let error = read(text, file).expect_err("a wrong secret");
            assert!(error.contains(part) && !error.contains("0123"), "{error}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_none() {
        for weak in [
            "a".repeat(32),
            "ab".repeat(40),
            "password".repeat(5),
            "0123456789".repeat(4) + "01",
            "aaabbbcccdddeee".repeat(3),
            "change-me change_me please, it is long".to_owned(),
            "$(head -c 48 /dev/urandom | base64)".to_owned(),
            "CHOOSE-YOUR-OWN-of-at-least-32-bytes".to_owned(),
        ] {
            let error = read(Some(&weak), None).expect_err("a weak secret");
            assert!(error.contains("guessed") && !error.contains(&weak), "{error}");
        }
        for good in [LONG, "a secret of the tests, never of anybody else"] {
            assert!(read(Some(good), None).is_ok(), "{good}");
        }
    }
}
