//! The tokens of a test against gateways that ask for them.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use galley_launch::{Secrets, TokenRules};
use galley_protocol::jwt::Who;
use galley_protocol::{BearerToken, HeroId};

use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::plan::LoadTokens;

/// Life of a token beyond the load itself: the sockets must be opened, too.
const MARGIN: Duration = Duration::from_hours(1);

/// The secret from which tokens are made, and the token of staff; both are absent without
/// authentication.
#[derive(Clone)]
pub struct Credentials {
    secrets: Option<Secrets>,
    rules: TokenRules,
    staff: Option<String>,
    /// The heroes that exist, with their tokens.
    heroes: Option<Vec<(i64, String)>>,
    life: Duration,
}

impl Credentials {
    /// Reads the secret and the token of staff.
    pub fn of(arguments: &LoadArguments) -> Result<Self, LoadFailure> {
        let rules = arguments.token_rules.clone();
        let life = (arguments.load_time() + arguments.settle).saturating_add(MARGIN);
        let life = life.min(rules.jwt_max_age);
        let secrets = arguments.secret.find().map_err(LoadFailure::Usage)?;
        let staff = match given(arguments.token_file.as_ref()) {
            Some(path) => Some(token(path, read(path)?.trim())?),
            None => secrets.as_ref().map(|secrets| rules.mint(secrets).token(Who::Staff, life)),
        };
        let heroes = given(arguments.hero_token_file.as_ref());
        let heroes = heroes.map(|path| known_heroes(path, &read(path)?)).transpose()?;
        Ok(Self { secrets, rules, staff, heroes, life })
    }

    /// Returns the number of heroes that exist; `None` if the test makes its own.
    pub fn known_heroes(&self) -> Option<usize> {
        self.heroes.as_ref().map(Vec::len)
    }

    /// Returns the first of the heroes that exist; `None` if the test makes its own.
    pub fn first_heroes(&self, count: usize) -> Option<Vec<i64>> {
        Some(self.heroes.as_ref()?.iter().take(count).map(|(id, _)| *id).collect())
    }

    /// Returns true if heroes' sockets can be opened where tokens are asked for.
    pub fn has_heroes(&self) -> bool {
        self.heroes.is_some() || self.secrets.is_some() || self.staff.is_none()
    }

    /// Returns the token of staff.
    pub fn staff(&self) -> Option<&str> {
        self.staff.as_deref()
    }

    /// Returns the token of staff and one for each of these heroes.
    pub fn tokens(&self, heroes: &[i64]) -> LoadTokens {
        let tokens = |secrets: &Secrets| {
            let (mint, ids) =
                (self.rules.mint(secrets), heroes.iter().filter_map(|id| HeroId::new(*id).ok()));
            ids.map(|id| mint.token(Who::Hero(id), self.life)).collect()
        };
        let heroes = match &self.heroes {
            Some(known) => {
                let known: HashMap<i64, &String> =
                    known.iter().map(|(id, token)| (*id, token)).collect();
                heroes.iter().filter_map(|id| known.get(id)).map(|it| (*it).clone()).collect()
            }
            None => self.secrets.as_ref().map(tokens).unwrap_or_default(),
        };
        LoadTokens { staff: self.staff.clone(), heroes }
    }
}

/// A path that is not empty.
fn given(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path).filter(|path| !path.as_os_str().is_empty())
}

fn cannot(path: &Path, why: &dyn Display) -> LoadFailure {
    LoadFailure::Usage(format!("the token file {}: {why}", path.display()))
}

fn read(path: &Path) -> Result<String, LoadFailure> {
    std::fs::read_to_string(path).map_err(|error| cannot(path, &error))
}

fn token(path: &Path, text: &str) -> Result<String, LoadFailure> {
    let token = BearerToken::parse(text).map_err(|error| cannot(path, &error))?;
    Ok(token.reveal().to_owned())
}

/// Reads one hero a line: its number and its token. Errors show no part of a token.
fn known_heroes(path: &Path, text: &str) -> Result<Vec<(i64, String)>, LoadFailure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let heroes = lines.map(|(number, line)| {
        let bad = || format!("line {}: must be the number of a hero and its token", number + 1);
        let (id, text) = line.trim().split_once(char::is_whitespace).unwrap_or_default();
        let id = id.parse().ok().and_then(|id| HeroId::new(id).ok());
        let id = id.ok_or_else(|| cannot(path, &bad()))?;
        Ok((id.get(), token(path, text.trim()).map_err(|_| cannot(path, &bad()))?))
    });
    let heroes = heroes.collect::<Result<Vec<_>, LoadFailure>>()?;
    let numbers: HashSet<i64> = heroes.iter().map(|(id, _)| *id).collect();
    if heroes.is_empty() || numbers.len() < heroes.len() {
        return Err(cannot(path, &"it must name at least one hero, and each only once"));
    }
    Ok(heroes)
}
