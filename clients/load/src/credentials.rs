//! The tokens of a test against gateways that ask for them.

use std::time::Duration;

use galley_launch::Secret;
use galley_protocol::jwt::{Who, mint};
use galley_protocol::{BearerToken, HeroId};

use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::plan::LoadTokens;

/// Life of a token beyond the load itself: the sockets must be opened, too.
const MARGIN: Duration = Duration::from_hours(1);
/// The longest life that gateways accept by default.
const LONGEST: Duration = Duration::from_hours(24);

/// The secret from which tokens are made, and the token of staff; both are absent without
/// authentication.
#[derive(Clone)]
pub struct Credentials {
    secret: Option<Secret>,
    staff: Option<String>,
    life: Duration,
}

impl Credentials {
    /// Reads the secret and the token of staff.
    pub fn of(arguments: &LoadArguments) -> Result<Self, LoadFailure> {
        let life = (arguments.duration + arguments.settle).saturating_add(MARGIN).min(LONGEST);
        let secret = arguments.secret.find().map_err(LoadFailure::Usage)?;
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
            None => secret.as_ref().map(|secret| mint(secret.bytes(), Who::Staff, life)),
        };
        Ok(Self { secret, staff, life })
    }

    /// Returns true if heroes' sockets can be opened where tokens are asked for.
    pub fn has_heroes(&self) -> bool {
        self.secret.is_some() || self.staff.is_none()
    }

    /// Returns the token of staff.
    pub fn staff(&self) -> Option<&str> {
        self.staff.as_deref()
    }

    /// Returns the token of staff and one for each of these heroes.
    pub fn tokens(&self, heroes: &[i64]) -> LoadTokens {
        let token = |secret: &Secret| {
            let ids = heroes.iter().filter_map(|id| HeroId::new(*id).ok());
            ids.map(|id| mint(secret.bytes(), Who::Hero(id), self.life)).collect()
        };
        LoadTokens {
            staff: self.staff.clone(),
            heroes: self.secret.as_ref().map(token).unwrap_or_default(),
        }
    }
}
