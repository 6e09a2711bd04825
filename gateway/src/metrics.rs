//! The metrics of the gateway. Several gateways in one process share the recorder, and the first
//! call of [`install`] installs it. The accept loop calls [`upkeep`].

use std::sync::{LazyLock, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use galley_protocol::{ProblemType, Timestamp};
use galley_telemetry::MeteredProgram;
pub use galley_telemetry::{
    ANNOUNCEMENTS_DROPPED, ANNOUNCEMENTS_FAILED, BYTES_IN, BYTES_OUT, EVENT_STREAMS, FEED_GAPS,
    FRAMES_IN, FRAMES_OUT, FRAMES_REFUSED, LIMITS_REACHED, PUSH_LAG_SECONDS, REFUSALS, REPAIRS,
    REQUEST_SECONDS, REQUESTS, RESUMES, RESYNCS, SHARDS_BEHIND, SOCKETS, SOCKETS_BEHIND,
    SOCKETS_BY_KIND, SOCKETS_CLOSED, UNHEARD_PUBLISHERS, UPDATES_DELIVERED, UPDATES_HEARD,
    UPDATES_OUTDATED, upkeep,
};
use metrics::{Counter, Histogram};

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
pub fn install() {
    static INSTALLED: Once = Once::new();
    // Each of the metrics above asks for it, and every series would be registered again.
    INSTALLED.call_once(|| {
        galley_telemetry::install(MeteredProgram::Gateway);
        for problem in ProblemType::ALL {
            ::metrics::counter!(FRAMES_REFUSED, "problem" => problem.slug()).increment(0);
        }
    });
}

#[cfg(test)]
mod tests {
    use galley_protocol::close_code::CloseCode;
    use galley_telemetry::{METRICS, REFUSALS, SOCKETS_CLOSED};

    use crate::refusals::Cause;

    fn values(name: &str) -> Vec<String> {
        let metric = METRICS.iter().find(|metric| metric.name == name).expect("in the table");
        let mut values: Vec<_> =
            metric.labels[0].1.iter().map(|value| (*value).to_owned()).collect();
        values.sort();
        values
    }

    #[test]
    fn the_table_has_the_values_of_the_labels() {
        let mut causes: Vec<_> = Cause::all().map(|cause| cause.word().to_owned()).collect();
        causes.sort();
        assert_eq!(values(REFUSALS), causes);
        let codes = CloseCode::ALL.iter().map(|code| code.code().to_string());
        let mut codes: Vec<_> = codes.chain(["0".to_owned()]).collect();
        codes.sort();
        assert_eq!(values(SOCKETS_CLOSED), codes);
    }
}
