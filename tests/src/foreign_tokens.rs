//! Tokens that other people's code makes: `PyJWT`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/pyjwt/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/identity/tokens.py");

/// Keys of an identity provider, and tokens that they signed.
#[derive(Debug)]
pub struct ForeignTokens(Value);

impl ForeignTokens {
    /// Makes them, as the script describes.
    #[must_use]
    pub fn make(asked: &Value) -> Self {
        let mut script = Command::new(PYTHON);
        script.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = script.spawn().expect("`./test` installs PyJWT in target/tools");
        let mut input = script.stdin.take().expect("a pipe");
        input.write_all(asked.to_string().as_bytes()).expect("it reads");
        drop(input);
        let output = script.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        Self(serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    /// A token by its name.
    #[must_use]
    pub fn token(&self, name: &str) -> &str {
        self.0["tokens"][name].as_str().expect("a token of this name")
    }

    /// The set of the public keys with these ids.
    #[must_use]
    pub fn key_set(&self, ids: &[&str]) -> Value {
        let keys: Vec<&Value> = ids.iter().map(|id| &self.0["jwks"][id]).collect();
        serde_json::json!({"keys": keys})
    }
}
