//! The queue of log lines for standard error, which never blocks.
//!
//! Loggers put lines into a bounded queue; one thread writes them. A reader that is slow, stuck or
//! gone costs lines, never time: at [`MAX_BYTES`] new lines are dropped, lines that cannot be
//! written are dropped too, and both are counted in `galley_log_lines_lost_total`. The log states
//! the number of missing lines as soon as lines get through again. The guard of the crate
//! `tracing-appender` prints to standard output while a program ends, which must not happen here:
//! that output may be closed or contain data.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use galley_protocol::harmless::harmless_line;
use tracing_subscriber::fmt::MakeWriter;

/// Maximum bytes in the queue; beyond it, lines are dropped and counted.
const MAX_BYTES: usize = 1 << 20;

/// The queue of lines for standard error. All clones share it.
#[derive(Clone)]
pub(crate) struct LogQueue(Arc<LogQueueState>);

struct LogQueueState {
    waiting: Mutex<WaitingLines>,
    /// Notified when a line is added.
    filled: Condvar,
    /// Notified when the queue is empty.
    drained: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct WaitingLines {
    lines: VecDeque<Vec<u8>>,
    /// The total bytes of these lines.
    bytes: usize,
    writing: bool,
}

impl LogQueue {
    /// Starts a queue whose thread writes to `output` until the process ends.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (filled, drained) = (Condvar::new(), Condvar::new());
        let queue = Self(Arc::new(LogQueueState {
            waiting: Mutex::default(),
            filled,
            drained,
            lost: AtomicU64::new(0),
        }));
        let lines = queue.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || lines.write_to(output))?;
        Ok(queue)
    }

    /// Waits until every line is written, at most for `patience`.
    pub(crate) fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut waiting = self.waiting();
        while waiting.writing || !waiting.lines.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self
                .0
                .drained
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn put(&self, line: &[u8]) {
        let line = clean(line);
        let mut waiting = self.waiting();
        if waiting.bytes + line.len() > MAX_BYTES {
            drop(waiting);
            return self.lose();
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.into_owned());
        drop(waiting);
        self.0.filled.notify_one();
    }

    fn lose(&self) {
        self.0.lost.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(galley_telemetry::LOG_LINES_LOST).increment(1);
    }

    fn write_to(&self, mut output: impl Write) {
        let mut told = 0;
        loop {
            let line = self.take();
            if output.write_all(&line).is_ok() {
                self.tell_losses(&mut told);
            } else {
                self.lose();
            }
            self.waiting().writing = false;
            self.0.drained.notify_all();
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.writing = true;
                return line;
            }
            waiting = self.0.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Logs the number of lines lost since the last call, once the waiting lines are written.
    fn tell_losses(&self, told: &mut u64) {
        let lost = self.0.lost.load(Ordering::Relaxed);
        if lost > *told && self.waiting().lines.is_empty() {
            tracing::warn!(
                lines = lost - *told,
                "lines of this log were lost: nobody read them in time"
            );
            *told = lost;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingLines> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Escapes whatever a terminal would interpret, line breaks within the line included. All lines of
/// the log pass here.
fn clean(line: &[u8]) -> Cow<'_, [u8]> {
    let (text, end) = line.strip_suffix(b"\n").map_or((line, ""), |text| (text, "\n"));
    if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.into();
    }
    let text = String::from_utf8_lossy(text);
    format!("{}{end}", harmless_line(&text)).into_bytes().into()
}

impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::{LogQueue, MAX_BYTES, clean};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// An output that reports the beginning of a write, and ends it on command.
    struct Output {
        began: Sender<Vec<u8>>,
        end: Receiver<io::Result<()>>,
    }

    impl Write for Output {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.began.send(line.to_vec()).expect("the test listens");
            self.end.recv().unwrap_or(Ok(())).map(|()| line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lost(queue: &LogQueue) -> u64 {
        queue.0.lost.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_no_time() {
        let ((began, writes), (ends, end)) = (channel(), channel());
        let queue = LogQueue::start(Output { began, end }).expect("a thread");
        queue.put(b"first");
        assert_eq!(writes.recv().expect("a write"), b"first");
        queue.put(&vec![b'x'; MAX_BYTES]);
        queue.put(b"too much");
        assert_eq!(lost(&queue), 1);
        queue.drain(Duration::from_millis(1)); // returns although nothing is written
        drop(ends);
        queue.drain(PATIENCE);
        assert_eq!(writes.try_iter().count(), 1, "the one that waited");
    }

    #[test]
    fn no_line_becomes_two_or_moves_anything() {
        let json = "{\"path\":\"/\u{9b}2J\u{202e}\u{7f}\"}\n";
        assert_eq!(&*clean(json.as_bytes()), b"{\"path\":\"/\\u009b2J\\u202e\\u007f\"}\n");
        assert_eq!(&*clean(b"INFO a\nERROR b\n"), b"INFO a\\u000aERROR b\n");
        assert_eq!(&*clean(b"plain\n"), b"plain\n");
    }

    #[test]
    fn a_closed_output_ends_nothing_and_is_counted() {
        let ((began, writes), (ends, end)) = (channel(), channel());
        let queue = LogQueue::start(Output { began, end }).expect("a thread");
        ends.send(Err(io::ErrorKind::BrokenPipe.into())).expect("an output");
        queue.put(b"lost");
        queue.drain(PATIENCE);
        assert_eq!(lost(&queue), 1);
        drop(ends);
        queue.put(b"written");
        queue.drain(PATIENCE);
        assert_eq!(writes.try_iter().collect::<Vec<_>>(), [b"lost".to_vec(), b"written".to_vec()]);
    }
}
