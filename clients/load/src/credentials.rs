//! The tokens of a test against gateways that ask for them.

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
    life: Duration,
}

impl Credentials {
    /// Reads the secret and the token of staff.
    pub fn of(arguments: &LoadArguments) -> Result<Self, LoadFailure> {
        let rules = arguments.token_rules.clone();
        let life = (arguments.duration + arguments.settle).saturating_add(MARGIN);
        let life = life.min(rules.jwt_max_age);
        let secrets = arguments.secret.find().map_err(LoadFailure::Usage)?;
        let path = arguments.token_file.as_ref().filter(|path| !path.as_os_str().is_empty());
        let staff = match path {
            Some(path) => {
                let cannot = |why: String| {
                    LoadFailure::Usage(format!("the token file {}: {why}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|e| cannot(e.to_string()))?;
                let token = BearerToken::parse(text.trim()).map_err(|e| cannot(e.to_string()))?;
                Some(token.reveal().to_owned())
            }
            None => secrets.as_ref().map(|secrets| rules.mint(secrets).token(Who::Staff, life)),
        };
        Ok(Self { secrets, rules, staff, life })
    }

    /// Returns true if heroes' sockets can be opened where tokens are asked for.
    pub fn has_heroes(&self) -> bool {
        self.secrets.is_some() || self.staff.is_none()
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
        let heroes = self.secrets.as_ref().map(tokens).unwrap_or_default();
        LoadTokens { staff: self.staff.clone(), heroes }
    }
}
