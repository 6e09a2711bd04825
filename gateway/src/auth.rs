//! JSON Web Tokens, and the caller that a token names.
//!
//! The guard of REST and the handshake of sockets ask the [`Verifier`]. Without authentication
//! there is no verifier, and no guard around the routes.

mod claim_rules;
mod claims;
mod key_set;
mod key_set_source;
mod provider_address;
mod provider_reader;
mod remembered_token;
mod revoked_heroes;
mod ring_verifier;
mod sign_in_provider;
mod staff_names;
pub mod stream_tickets;
mod token_config;
mod token_keys;
mod token_rejection;
mod verifier;
mod wanted_tokens;

pub use claims::Claims;
pub use provider_reader::{read_endpoints, read_keys, read_secrets};
pub use remembered_token::RememberedToken;
pub use revoked_heroes::RevokedHeroes;
pub use sign_in_provider::{ProviderEndpoints, SignInClient, SignInConfig, SignInProvider};
pub use token_config::TokenConfig;
pub use token_rejection::TokenRejection;
pub use verifier::{LEEWAY, Verifier};
pub use wanted_tokens::WantedTokens;
