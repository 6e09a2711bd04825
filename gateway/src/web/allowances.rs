//! The limit on the requests of one address, `GALLEY_REST_RATE`.
//!
//! The layer runs for every request if there is such a limit, and is not installed if there is
//! none. Health checks are never refused.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, ProblemType};

use super::Refusal;
use crate::http::base_path::HEALTH_CHECKS;
use crate::http::entrance::Outside;
use crate::limits::rate::{RateVerdict, now};
use crate::limits::{Address, Meter, RateLimit, count};

/// Number of parts of the map. With several, requests seldom wait for each other.
const SHARDS: usize = 16;
/// Maximum number of addresses in each part, about 32 bytes each. Beyond it, addresses whose whole
/// burst is available again are dropped. While there are none of these, new addresses share one
/// allowance.
const MAX_ADDRESSES: usize = 4_096;

/// Header fields of the draft "`RateLimit` header fields for HTTP" of the IETF's working group
/// httpapi.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

#[derive(Debug)]
pub struct Allowances {
    rate: RateLimit,
    /// Hash that selects the part of an address, with a random key: clients cannot foresee it.
    parting: RandomState,
    shards: [Mutex<AllowanceShard>; SHARDS],
}

#[derive(Debug, Default)]
struct AllowanceShard {
    meters: HashMap<Address, Meter>,
    /// Shared by new addresses while the map is full.
    shared: Meter,
    /// The moment before which no address can be dropped.
    full_until: u64,
}

impl Allowances {
    /// Returns the allowances for this rate; `None` if there is no limit.
    #[must_use]
    pub fn new(rate: RateLimit) -> Option<Arc<Self>> {
        (!rate.is_unlimited()).then(|| {
            Arc::new(Self { rate, parting: RandomState::new(), shards: Default::default() })
        })
    }

    fn take(&self, address: Address) -> RateVerdict {
        let part = self.parting.hash_one(address) % SHARDS as u64;
        let shard = &self.shards[usize::try_from(part).expect("less than the number of parts")];
        shard.lock().unwrap_or_else(PoisonError::into_inner).take(address, self.rate, now())
    }
}

impl AllowanceShard {
    fn take(&mut self, address: Address, rate: RateLimit, now: u64) -> RateVerdict {
        if let Some(meter) = self.meters.get_mut(&address) {
            return meter.take_at(rate, now);
        }
        if self.meters.len() >= MAX_ADDRESSES && self.full_until <= now {
            // A meter with its whole burst is as good as a new one.
            self.meters.retain(|_, meter| !meter.is_whole_at(now));
            self.full_until =
                self.meters.values().map(|meter| meter.whole_at()).min().unwrap_or(now);
        }
        if self.meters.len() < MAX_ADDRESSES {
            self.meters.entry(address).or_default().take_at(rate, now)
        } else {
            self.shared.take_at(rate, now)
        }
    }
}

/// Answers 429 if the address has used up its rate. Every answer shows how much is left.
pub async fn allow(
    State(allowances): State<Arc<Allowances>>,
    Extension(Outside { address, .. }): Extension<Outside>,
    request: Request,
    next: Next,
) -> Response {
    if HEALTH_CHECKS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let rate = allowances.rate;
    match allowances.take(Address::from(address)) {
        RateVerdict::Taken { left, whole_in } => {
            let mut response = next.run(request).await;
            add_headers(response.headers_mut(), rate, left, whole_in);
            response
        }
        RateVerdict::Wait(wait) => {
            count("rest");
            let mut response =
                Refusal(too_fast("this address sends requests", wait)).into_response();
            add_headers(response.headers_mut(), rate, 0, wait);
            response
        }
    }
}

/// Returns the problem of a client that exceeds a rate. `what` begins the sentence "… faster than
/// it may".
#[must_use]
pub fn too_fast(what: &str, wait: Duration) -> Problem {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Problem::new(ProblemType::RateLimited)
        .with_detail(format!("{what} faster than it may"))
        .with_retry_after(millis)
}

fn add_headers(headers: &mut HeaderMap, rate: RateLimit, left: u32, reset: Duration) {
    let seconds = |time: Duration| time.as_nanos().div_ceil(1_000_000_000);
    let policy = format!("\"address\";q={};w={}", rate.burst(), seconds(rate.window()));
    let limit = format!("\"address\";r={left};t={}", seconds(reset));
    headers.insert(POLICY, HeaderValue::try_from(policy).expect("ASCII"));
    headers.insert(LIMIT, HeaderValue::try_from(limit).expect("ASCII"));
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Address, AllowanceShard, MAX_ADDRESSES, RateVerdict};

    fn address(number: usize) -> Address {
        Address::from(IpAddr::from(u32::try_from(number).expect("a small number").to_be_bytes()))
    }

    #[test]
    fn the_map_is_bounded_known_addresses_keep_their_own_and_the_idle_are_forgotten() {
        let rate = "1/s burst 2".parse().expect("a rate");
        let mut shard = AllowanceShard::default();
        let second = 1_000_000_000;
        let mut take = |number, now| {
            matches!(shard.take(address(number), rate, now), RateVerdict::Taken { .. })
        };
        assert!((0..MAX_ADDRESSES).all(|number| take(number, second)));
        assert!(
            take(MAX_ADDRESSES, second) && take(MAX_ADDRESSES + 1, second),
            "newcomers share one burst of two"
        );
        assert!(!take(MAX_ADDRESSES + 2, second));
        assert!(take(0, second), "who was known has its own");
        assert!(take(MAX_ADDRESSES + 2, 2 * second), "the others were forgotten");
        assert_eq!(shard.meters.len(), 2);
    }
}
