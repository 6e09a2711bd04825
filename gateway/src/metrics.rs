//! The names of the gateway's metrics, and the recorder that `/metrics` reads.
//!
//! The recorder belongs to the process: several gateways in one process share it, and the first
//! call installs it. The samples that it holds between two scrapes are bounded by [`upkeep`], which
//! the accept loop calls.

use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use galley_protocol::Timestamp;
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every histogram, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

macro_rules! metrics {
    ($($describe:ident $name:ident $text:literal $explanation:literal)*) => {
        $(#[doc = $explanation] pub const $name: &str = $text;)*

        fn describe() {
            $(::metrics::$describe!($name, $explanation);)*
        }
    };
}

metrics! {
    describe_counter REQUESTS "galley_http_requests_total"
        "HTTP requests answered, by method, matched route and class of status."
    describe_histogram REQUEST_SECONDS "galley_http_request_seconds"
        "Seconds from the request head to the head of the answer, by method, matched route and class of status."
    describe_counter ANNOUNCEMENTS_DROPPED "galley_announcements_dropped_total"
        "Commits whose updates were not published because too many waited; healed from the database."
    describe_counter ANNOUNCEMENTS_FAILED "galley_announcements_failed_total"
        "Publications that the bus refused; healed from the database."
    describe_counter LIMITS_REACHED "galley_limits_reached_total"
        "Times that a client came upon a limit, by limit; docs/security.md lists them."
    describe_counter FRAMES_REFUSED "galley_frames_refused_total"
        "Frames of clients that were no commands or came too fast, by type of problem."
    describe_gauge SOCKETS "galley_sockets"
        "Sockets that are connected."
    describe_counter SOCKETS_CLOSED "galley_sockets_closed_total"
        "Sockets that ended, by close code."
    describe_counter SOCKETS_BEHIND "galley_sockets_behind_total"
        "Times that a socket did not keep up and its queue was merged to the newest states."
    describe_counter SHARDS_BEHIND "galley_shards_behind_total"
        "Times that so many updates of one hero waited for a shard of its sockets that the sockets read the database instead."
    describe_counter RESYNCS "galley_resyncs_total"
        "Resync frames made for sockets that did not keep up or had missed something."
    describe_counter RESUMES "galley_resumes_total"
        "Sockets and event streams of heroes that began, by the verdict in their welcome: fresh, resumed or resynced."
    describe_histogram PUSH_LAG_SECONDS "galley_push_lag_seconds"
        "Seconds from the commit of a change to its last byte on a socket, of the oldest change in each write."
    describe_counter FRAMES_IN "galley_frames_in_total"
        "Frames received from clients."
    describe_counter BYTES_IN "galley_frame_bytes_in_total"
        "Bytes of frames received from clients."
    describe_counter FRAMES_OUT "galley_frames_out_total"
        "Frames sent to clients."
    describe_counter BYTES_OUT "galley_frame_bytes_out_total"
        "Bytes of frames sent to clients."
    describe_counter REFUSALS "galley_refusals_total"
        "Callers turned away, by cause."
    describe_counter UPDATES_HEARD "galley_updates_heard_total"
        "Updates received on the bus."
    describe_counter UPDATES_OUTDATED "galley_updates_outdated_total"
        "Updates that were not handed to sockets, because these or newer ones had been sent already."
    describe_counter UPDATES_DELIVERED "galley_updates_delivered_total"
        "Updates handed to sockets, once for each socket."
    describe_counter FEED_GAPS "galley_feed_gaps_total"
        "Times that a watcher of the staff feed had to read changes from the database, because they were dropped or lost before they were sent."
    describe_counter LOG_LINES_LOST "galley_log_lines_lost_total"
        "Lines of the log that were dropped because nobody read standard error, or not in time."
    describe_counter PANICS "galley_panics_total"
        "Panics: each is a bug, and a line of the log."
    describe_gauge UNHEARD_PUBLISHERS "galley_unheard_publishers"
        "Publishers that live according to the census but are unheard; their changes are read from the database."
    describe_counter REPAIRS "galley_repairs_total"
        "Reads of all changes from the database because updates may have been lost."
}

/// Metrics on the path of every frame. They are looked up once, after the recorder is installed.
macro_rules! hot {
    ($($name:ident: $kind:ident = $macro:ident $metric:ident)*) => {
        $(#[doc = concat!("[`", stringify!($metric), "`].")]
        pub static $name: LazyLock<$kind> = LazyLock::new(|| {
            install();
            ::metrics::$macro!($metric)
        });)*
    };
}

hot! {
    FRAMES_IN_COUNT: Counter = counter FRAMES_IN
    BYTES_IN_COUNT: Counter = counter BYTES_IN
    FRAMES_OUT_COUNT: Counter = counter FRAMES_OUT
    BYTES_OUT_COUNT: Counter = counter BYTES_OUT
    PUSH_LAG: Histogram = histogram PUSH_LAG_SECONDS
}

/// Counts outgoing frames and their bytes.
pub fn count_frames(frames: usize, bytes: usize) {
    FRAMES_OUT_COUNT.increment(frames as u64);
    BYTES_OUT_COUNT.increment(bytes as u64);
}

/// Records the time from the commit of a change until it was written. The commit has the database's
/// clock, which may differ a little from this machine's: a negative time counts as zero.
pub fn record_push_lag(commit: Timestamp) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let commit = Duration::from_millis(u64::try_from(commit.millis()).unwrap_or(0));
    PUSH_LAG.record(now.saturating_sub(commit).as_secs_f64());
}

/// Installs the recorder, unless an earlier call or the process itself has installed one.
pub fn install() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the bounds are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if ::metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed; /metrics stays empty");
        }
        describe();
        handle
    })
}

/// Moves the samples that histograms have gathered into their buckets.
pub fn upkeep() {
    install().run_upkeep();
}
