//! The state of the whole service, for the people who keep it running.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use galley_bus::{HeardProcess, QueueBacklog};
use galley_protocol::frame::Totals;
use galley_protocol::{ProcessReport, PublisherId};
use serde::Serialize;
use utoipa::ToSchema;

use super::problems::OfListing;
use super::readiness::{ReadinessStatus, look};
use crate::limits::CallerKey;
use crate::operations::{Backends, HeardNow};
use crate::probes::Dependency;
use crate::service_history::{HistorySecond, MeanRates};
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::query::Params;

/// The most processes in an answer.
const MAX_LISTED: usize = 512;
/// The silence after which a process is not heard: four heartbeats.
const SILENCE: Duration = Duration::from_secs(4);

/// The state of the service, as the gateway that answers sees it. A part that nobody could tell it
/// is absent.
#[derive(Serialize, ToSchema)]
pub struct OperationsReport {
    /// The process that answers.
    gateway: i32,
    /// Its readiness, as in `/readyz`.
    status: ReadinessStatus,
    /// Each thing that it depends on, as in `/readyz`.
    dependencies: Vec<Dependency>,
    /// The gateways and workers that it heard in the last ten minutes, and those that live according
    /// to the database. At most 512: those that live come first.
    processes: Vec<ObservedProcess>,
    /// The number of processes beyond these.
    #[schema(format = Int64, minimum = 0)]
    processes_left_out: usize,
    /// The orders by status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    orders: Option<Totals>,
    /// The age of the oldest PENDING order; 0 without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oldest_pending_ms: Option<u64>,
    /// The dispatch queue.
    queue: QueueLength,
    /// The mean rates of the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rates: Option<MeanRates>,
    /// The last ten minutes of the whole service, oldest second first. A second of which this
    /// gateway did not hear everything is left out.
    history: Vec<HistorySecond>,
}

/// The entries of the dispatch queue. An entry names an order that a worker should look at.
#[derive(Serialize, ToSchema)]
pub struct QueueLength {
    /// The entries that no worker has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    waiting: Option<u64>,
    /// The entries that a worker has read and not settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    delivered: Option<u64>,
}

/// A process of the service.
#[derive(Serialize, ToSchema)]
pub struct ObservedProcess {
    /// Its random name as a publisher.
    id: i32,
    /// Its state, as the gateway that answers knows it.
    state: ProcessState,
    /// The milliseconds since its last heartbeat. Absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    heard_ms: Option<u64>,
    /// Its last report about itself. Absent for a version that sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    report: Option<ProcessReport>,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It was heard within the last four seconds.
    Heard,
    /// It was not heard for four seconds, but lives according to the database, or the database does
    /// not say.
    Unheard,
    /// It was not heard for four seconds, and does not live according to the database.
    Dead,
    /// It said goodbye.
    Left,
}

/// The state of the service
///
/// For staff. Made from what this gateway has in memory, and from one question to the database and
/// to the bus in a second, however many ask.
#[utoipa::path(
    get, path = "/operations", tag = "operation", operation_id = "get_operations",
    responses((status = 200, description = "As this gateway sees it.", body = OperationsReport), OfListing),
)]
pub async fn show(
    State(state): State<AppState>,
    key: CallerKey,
    _: Params<()>,
) -> Result<Response, Refusal> {
    let _turn = state.limits.reads.take(key).await?;
    let body = state.operations.answer(make(&state)).await;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, body).into_response())
}

async fn make(state: &AppState) -> Bytes {
    let backends = Backends::ask(&**state.commands.store(), &*state.bus, &state.totals);
    let (backends, (status, dependencies)) = tokio::join!(backends, look(state));
    let QueueBacklog { waiting, delivered } = backends.backlog.unwrap_or_default();
    let (processes, processes_left_out) = list(state.operations.heard());
    let (rates, history) = {
        let history = state.operations.history();
        (history.rates(), history.list())
    };
    let report = OperationsReport {
        gateway: state.bus.publisher().get(),
        status,
        dependencies,
        processes,
        processes_left_out,
        orders: backends.totals,
        oldest_pending_ms: backends.oldest_pending.map(millis),
        queue: QueueLength { waiting, delivered },
        rates,
        history,
    };
    serde_json::to_vec(&report).expect("a report has string keys only").into()
}

/// Returns the processes in the order of the answer, and the number of those left out.
fn list(HeardNow { processes, living, .. }: HeardNow) -> (Vec<ObservedProcess>, usize) {
    let silent = living.iter().flatten().map(|id| (*id, None));
    let heard = processes.into_iter().map(|process| (process.publisher, Some(process)));
    // One that was heard takes the place of the one that only lives.
    let all: BTreeMap<PublisherId, Option<HeardProcess>> = silent.chain(heard).collect();
    let mut listed: Vec<_> =
        all.into_iter().map(|(id, heard)| observed(id, heard, living.as_ref())).collect();
    listed.sort_by_key(|process| process.state);
    let left_out = listed.len().saturating_sub(MAX_LISTED);
    listed.truncate(MAX_LISTED);
    (listed, left_out)
}

fn observed(
    id: PublisherId,
    heard: Option<HeardProcess>,
    living: Option<&BTreeSet<PublisherId>>,
) -> ObservedProcess {
    let silence = heard.as_ref().map(|heard| heard.at.elapsed());
    let state = match &heard {
        Some(heard) if heard.left => ProcessState::Left,
        Some(_) if silence.is_some_and(|silence| silence < SILENCE) => ProcessState::Heard,
        Some(_) | None if living.is_none_or(|living| living.contains(&id)) => ProcessState::Unheard,
        Some(_) | None => ProcessState::Dead,
    };
    let report = heard.and_then(|heard| heard.report).map(|report| (*report).clone());
    ObservedProcess { id: id.get(), state, heard_ms: silence.map(millis), report }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use galley_bus::HeardProcess;
    use galley_protocol::PublisherId;

    use super::{HeardNow, MAX_LISTED, ProcessState, SILENCE, list};

    fn id(number: i32) -> PublisherId {
        PublisherId::new(number).expect("an id")
    }

    fn heard(number: i32, silence: Duration, left: bool) -> HeardProcess {
        let at = Instant::now().checked_sub(silence).expect("the machine runs for longer");
        HeardProcess { publisher: id(number), at, left, report: None }
    }

    #[test]
    fn those_that_live_come_first_and_each_has_its_state() {
        use ProcessState::{Dead, Heard, Left, Unheard};
        let processes = vec![
            heard(1, SILENCE, false),
            heard(2, Duration::ZERO, true),
            heard(3, Duration::ZERO, false),
            heard(4, SILENCE, false),
        ];
        let living = Some([id(3), id(4), id(5)].into());
        let now = HeardNow { processes, living, ..HeardNow::default() };
        let states = |now: HeardNow| {
            let listed = list(now).0.into_iter();
            listed.map(|process| (process.id, process.state)).collect::<Vec<_>>()
        };
        let expected = [(3, Heard), (4, Unheard), (5, Unheard), (1, Dead), (2, Left)];
        assert_eq!(states(now.clone()), expected);
        let unknown = [(3, Heard), (1, Unheard), (4, Unheard), (2, Left)];
        assert_eq!(states(HeardNow { living: None, ..now }), unknown, "nobody says who lives");
    }

    #[test]
    fn the_answer_is_bounded() {
        let most = i32::try_from(MAX_LISTED).expect("small");
        let living = Some((1..=most + 3).map(id).collect());
        let (listed, left_out) = list(HeardNow { living, ..HeardNow::default() });
        assert_eq!((listed.len(), left_out), (MAX_LISTED, 3));
    }
}
