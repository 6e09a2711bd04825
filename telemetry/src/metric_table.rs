//! The table of metrics. Names follow the conventions of Prometheus: the unit is in the name, and
//! counters end with `_total`.

/// A metric of one or both programs. The embedded program has all of them.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; a histogram has `_bucket`, `_sum` and `_count` after it.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// The programs that have it.
    pub program: MeteredProgram,
    /// Its labels, each with all its values; none if they are known only at runtime.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// Its explanation, in one sentence.
    pub explanation: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// A histogram of seconds.
    Seconds,
    /// A histogram of numbers of entries.
    Sizes,
}

/// A program, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeteredProgram {
    /// `galley-gateway`
    Gateway,
    /// `galley-worker`
    Worker,
    /// Both, and the embedded `galley`.
    Both,
}

impl MeteredProgram {
    /// Returns true if `program` has the metrics of this one.
    #[must_use]
    pub fn is_part_of(self, program: Self) -> bool {
        self == Self::Both || program == Self::Both || self == program
    }
}

macro_rules! metrics {
    ($($program:ident $kind:ident $name:ident $text:literal {$($label:literal: [$($value:literal)*])*} $explanation:literal)*) => {
        $(#[doc = $explanation] pub const $name: &str = $text;)*

        /// All metrics.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $text,
            kind: MetricKind::$kind,
            program: MeteredProgram::$program,
            labels: &[$(($label, &[$($value),*])),*],
            explanation: $explanation,
        }),*];
    };
}

metrics! {
    // --- Orders
    Gateway Counter ORDERS_PLACED "galley_orders_placed_total" {"verdict": ["placed" "replayed" "key-reused" "unknown-hero" "unknown-meal"]}
        "Answers of the database to requests to place an order, by verdict."
    Worker Counter ORDERS_CLAIMED "galley_orders_claimed_total" {"from": ["queue" "database"]}
        "Orders that this worker took, from the dispatch queue or from the database where the queue had lost them."
    Both Counter ORDERS_CANCELLED "galley_orders_cancelled_total" {"reason": ["hero_request" "allergy" "hero_gone" "meal_gone" "undeliverable"]}
        "Orders that this process cancelled, by reason."
    Worker Counter ORDERS_COMPLETED "galley_orders_completed_total" {}
        "Orders that this worker completed."
    Gateway Counter ORDERS_DELETED "galley_orders_deleted_total" {}
        "Orders that this gateway deleted after they had ended."
    Worker Counter ORDERS_ADOPTED "galley_orders_adopted_total" {}
        "Orders that this worker took over from workers that died or left."
    Both Gauge ORDERS "galley_orders" {"status": ["PENDING" "IN_PROGRESS" "COMPLETED" "CANCELLED"]}
        "Orders in the database by status, read at the scrape; NaN while the database does not answer."
    Both Gauge OLDEST_PENDING_SECONDS "galley_oldest_pending_seconds" {}
        "Age of the oldest order that no worker has taken, by the clock of the database, read at the scrape; 0 without one, NaN while the database does not answer."
    Worker Gauge ORDERS_IN_PREPARATION "galley_orders_in_preparation" {}
        "Orders that this worker prepares."
    Worker Seconds ORDER_WAIT_SECONDS "galley_order_wait_seconds" {}
        "Seconds from the acceptance of an order until a worker took it, by the clock of the database."
    Worker Seconds ORDER_SECONDS "galley_order_seconds" {}
        "Seconds from the acceptance of an order to its completion, by the clock of the database."
    Worker Seconds COMPLETION_LAG_SECONDS "galley_completion_lag_seconds" {}
        "Seconds from the moment at which an order was due until it was completed."
    // --- Dispatch queue
    Worker Gauge QUEUE_ENTRIES "galley_queue_entries" {"state": ["waiting" "delivered"] "stream": []}
        "Entries of the dispatch queue that wait for a worker, and those that were delivered and not acknowledged, by stream; refreshed every few seconds, NaN if Redis cannot say."
    Worker Counter QUEUE_RECLAIMED "galley_queue_reclaimed_total" {}
        "Entries of the dispatch queue that were taken over because nobody acknowledged them in time."
    Worker Counter QUEUE_MALFORMED "galley_queue_malformed_total" {}
        "Entries of the dispatch queue that name no order; they are acknowledged and passed over."
    Worker Counter QUEUE_GROUP_RECREATED "galley_queue_group_recreated_total" {}
        "Times that the consumer group was gone and was made again."
    Both Counter QUEUE_DROPPED "galley_queue_dropped_total" {}
        "Orders that found no room in the in-process queue; they are claimed from the database."
    // --- Bus
    Both Counter BUS_RECONNECTS "galley_bus_reconnects_total" {}
        "Connections to Redis that were made again after a failure."
    Both Gauge BUS_DEAF "galley_bus_deaf" {}
        "Subscriptions to Redis that are cut at the moment."
    Both Seconds BUS_DEAF_SECONDS "galley_bus_deaf_seconds" {}
        "Durations for which a subscription to Redis was cut."
    Gateway Counter BUS_GAPS "galley_bus_gaps_total" {}
        "Times that messages of a publisher were missing; their changes are read from the database."
    Gateway Counter BUS_FORGED "galley_bus_forged_total" {}
        "Messages on the bus that the service did not sign; they are dropped."
    Gateway Counter BUS_MALFORMED "galley_bus_malformed_total" {}
        "Signed messages on the bus that cannot be right; they are dropped."
    Gateway Counter BUS_MESSAGES_DROPPED "galley_bus_messages_dropped_total" {}
        "Messages that found no room in the inbox of a subscription; their changes are read from the database."
    Gateway Counter ANNOUNCEMENTS_DROPPED "galley_announcements_dropped_total" {}
        "Commits whose updates were not published because too many waited; healed from the database."
    Gateway Counter ANNOUNCEMENTS_FAILED "galley_announcements_failed_total" {}
        "Publications that the bus refused; healed from the database."
    Worker Counter PUBLISH_ERRORS "galley_worker_publish_errors_total" {}
        "Publications of this worker that the bus refused; healed from the database."
    Gateway Gauge UNHEARD_PUBLISHERS "galley_unheard_publishers" {}
        "Publishers that live according to the census but are unheard; their changes are read from the database."
    Gateway Counter REPAIRS "galley_repairs_total" {}
        "Reads of all changes from the database because updates may have been lost."
    // --- Database
    Both Seconds DATABASE_SECONDS "galley_database_seconds" {"operation": ["place" "cancel" "delete" "order" "orders" "totals" "oldest_pending" "open_orders" "deleted_heroes" "menu_changes" "sign_out" "sign_outs" "keep_ticket" "take_ticket" "snapshots" "changes" "changes_of_all" "states" "present" "claim" "adopt" "complete" "hand_back" "enlist" "incarnations" "ping" "census" "maintain" "heroes" "meals"]}
        "Seconds from the request of an operation to its outcome, with the wait for a connection, by operation."
    Both Counter DATABASE_ERRORS "galley_database_errors_total" {"operation": ["place" "cancel" "delete" "order" "orders" "totals" "oldest_pending" "open_orders" "deleted_heroes" "menu_changes" "snapshots" "changes" "changes_of_all" "states" "present" "claim" "adopt" "complete" "hand_back" "enlist" "incarnations" "ping" "census" "maintain" "heroes" "meals"] "kind": ["unavailable" "trouble" "contended" "failed"]}
        "Operations that the database did not carry out, by operation and kind: it is unreachable or too slow, it reported a cause that it can name, other requests came first, or it refused."
    Both Sizes BATCH_SIZE "galley_batch_size" {"operation": ["place" "cancel" "delete" "snapshots" "changes" "states" "claim" "complete"]}
        "Requests that one statement carried, by operation; of a claim the orders that it took."
    Both Gauge DATABASE_CONNECTIONS "galley_database_connections" {"state": ["open" "used"]}
        "Connections to the database server that this process has open, and those that work; 0 with a file."
    Both Gauge DATABASE_WAITING "galley_database_waiting" {}
        "Operations that wait for a connection to the database server."
    // --- Sockets
    Gateway Gauge SOCKETS "galley_sockets" {}
        "Sockets and event streams that are connected."
    Gateway Gauge SOCKETS_BY_KIND "galley_sockets_by_kind" {"kind": ["hero" "staff"]}
        "Sockets and event streams that are connected, by whose they are."
    Gateway Gauge EVENT_STREAMS "galley_event_streams" {}
        "Event streams that are connected; each is one of the sockets as well."
    Gateway Counter SOCKETS_CLOSED "galley_sockets_closed_total" {"code": ["0" "1000" "1001" "1002" "1003" "1007" "1008" "1009" "1012" "1013" "4401" "4403" "4408"]}
        "Sockets that ended, by close code; 0 without one."
    Gateway Counter SOCKETS_BEHIND "galley_sockets_behind_total" {}
        "Times that a socket did not keep up and its queue was merged to the newest states."
    Gateway Counter SHARDS_BEHIND "galley_shards_behind_total" {}
        "Times that so many updates of one hero waited for a shard of its sockets that the sockets read the database instead."
    Gateway Counter RESYNCS "galley_resyncs_total" {}
        "Resync frames made for sockets that did not keep up or had missed something."
    Gateway Counter RESUMES "galley_resumes_total" {"verdict": ["fresh" "resumed" "resynced"]}
        "Sockets and event streams of heroes that began, by the verdict in their welcome."
    Gateway Seconds PUSH_LAG_SECONDS "galley_push_lag_seconds" {}
        "Seconds from the commit of a change to its last byte on a socket, of the oldest change in each write."
    Gateway Counter FRAMES_IN "galley_frames_in_total" {}
        "Frames received from clients."
    Gateway Counter BYTES_IN "galley_frame_bytes_in_total" {}
        "Bytes of frames received from clients."
    Gateway Counter FRAMES_OUT "galley_frames_out_total" {}
        "Frames sent to clients."
    Gateway Counter BYTES_OUT "galley_frame_bytes_out_total" {}
        "Bytes of frames sent to clients."
    Gateway Counter UPDATES_HEARD "galley_updates_heard_total" {}
        "Updates received on the bus."
    Gateway Counter UPDATES_OUTDATED "galley_updates_outdated_total" {}
        "Updates that were not handed to sockets, because these or newer ones had been sent already."
    Gateway Counter UPDATES_DELIVERED "galley_updates_delivered_total" {}
        "Updates handed to sockets, once for each socket."
    Gateway Counter FEED_GAPS "galley_feed_gaps_total" {}
        "Times that a watcher of the staff feed had to read changes from the database, because they were dropped or lost before they were sent."
    // --- HTTP and limits
    Gateway Counter REQUESTS "galley_http_requests_total" {"method": [] "route": [] "status": []}
        "HTTP requests answered, by method, matched route and class of status. Every operation has its series from the start; `HEAD`, `OPTIONS` and methods that a route refuses have theirs from the first request on."
    Gateway Seconds REQUEST_SECONDS "galley_http_request_seconds" {"method": [] "route": [] "status": []}
        "Seconds from the request head to the head of the answer, by method, matched route and class of status; from the start like the requests."
    Gateway Counter LIMITS_REACHED "galley_limits_reached_total" {"limit": ["answer-time" "body" "body-time" "commands" "connections-per-ip" "flooding" "head" "head-time" "open-files" "open-orders" "reads" "rest" "sockets" "sockets-opened" "sockets-per-hero" "sockets-per-ip" "sockets-without-token" "unread-answers" "writes"]}
        "Times that a client came upon a limit, by limit; docs/security.md lists them."
    Gateway Counter FRAMES_REFUSED "galley_frames_refused_total" {"problem": []}
        "Frames of clients that were no commands or came too fast, by type of problem."
    Gateway Counter REFUSALS "galley_refusals_total" {"cause": ["foreign-origin" "foreign-host" "no-token" "bad-signature" "bad-algorithm" "bad-claims" "expired-token" "early-token" "hero-gone" "signed-out" "bad-ticket" "long-lived-token" "unknown-key" "not-staff" "auth-timeout" "too-many-unproven"]}
        "Callers turned away, by cause."
    // --- Traces
    Gateway Counter TRACES_REFUSED "galley_traces_refused_total" {}
        "Requests and commands that demanded a trace beyond the bound of their caller or of the process, and were not recorded."
    Both Counter SPANS_EXPORTED "galley_spans_exported_total" {}
        "Spans that the collector of traces took."
    Both Counter SPANS_DROPPED "galley_spans_dropped_total" {"reason": ["queue" "collector"]}
        "Spans that were dropped, because the queue of the exporter was full or the collector did not take them."
    // --- Processes
    Both Gauge BUILD_INFO "galley_build_info" {"version": []}
        "1, with the version of the program."
    Both Counter LOG_LINES_LOST "galley_log_lines_lost_total" {}
        "Lines of the log that were dropped because nobody read standard error, or not in time."
    Both Counter PANICS "galley_panics_total" {}
        "Panics: each is a bug, and a line of the log."
}
