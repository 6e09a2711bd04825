//! Called once by the gateway. A client that sends its request head slowly or not at all is
//! disconnected. The buffers of a connection are bounded. When files run out, connections without a
//! request make room for others. A stop loses no request that is on its way. A connection that was
//! upgraded is not managed here any more: the code that upgraded it must end it.
//!
//! Sessions take the `TokioIo<TrackedStream>` back out of the upgrade, so it must not be wrapped again.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use galley_bus::LogLimiter;
use galley_launch::{Accepted, Listener, Transport};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::entrance::Entrance;
use super::open_connections::{OpenConnection, OpenConnections};
use super::tracked_stream::{AmbiguousLength, TrackedStream};
use crate::auth::RememberedToken;
use crate::limits::Seat;
use crate::metrics;

/// Bound of a request head, and of unsent answer before more of the body is requested, in bytes.
const MAX_BUFFER: usize = 32 * 1024;
/// The first and the longest pause after failed accepts. Without a pause the loop would spin when
/// file descriptors run out, and spinning frees none.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// How long a peer may acknowledge nothing before it counts as gone (RFC 5482). By default the
/// kernel retries for a quarter of an hour.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// Send buffer of a connection in the kernel, in bytes; the kernel doubles it for its own needs. By
/// default the kernel would buffer up to 4 MiB for each peer that does not read, and report
/// progress only after the peer took a third of that.
const SEND_BUFFER: usize = 32 * 1024;
/// The longest request body after whose refusal a connection may go on, in bytes. hyper reads it
/// if it is there.
const MAX_UNREAD: u64 = 64 * 1024;
/// Interval of the upkeep of the metrics recorder.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves `app` until `stop`. Then it takes the connections that the kernel has already accepted,
/// so that none of them is reset, and closes the listener. From then on a connection ends with its
/// next answer, or when it was idle for `quiet`. Returns when no connection is left. Dropping the
/// future cuts the remaining ones.
pub async fn serve(
    mut listener: Listener,
    entrance: Arc<Entrance>,
    open: Arc<OpenConnections>,
    app: Router,
    stop: CancellationToken,
    quiet: Duration,
) {
    let connections = TaskTracker::new();
    let end = CancellationToken::new();
    let _cut = end.clone().drop_guard();
    let serve = |accepted: Accepted| {
        // A trusted proxy holds the connections of many clients.
        let seat = if entrance.proxies.is_peer(accepted.peer.ip(), accepted.transport) {
            None
        } else {
            let Some(seat) = open.seat(accepted.peer.ip().into()) else { return };
            Some(seat)
        };
        let life = ConnectionLife {
            open: open.add(&accepted.stream),
            seat,
            stop: stop.clone(),
            end: end.clone(),
            quiet,
        };
        connections.spawn(connection(accepted, Arc::clone(&entrance), app.clone(), life));
    };
    let mut upkeep = interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut pause, refused) = (ACCEPT_PAUSE.0, LogLimiter::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = upkeep.tick() => {
                metrics::upkeep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                pause = ACCEPT_PAUSE.0;
                serve(accepted);
            }
            Err(error) if is_of_one_client(&error) => {
                tracing::debug!(%error, "a client left while it was accepted");
            }
            Err(error) => {
                if let Some(more) = refused.now() {
                    tracing::warn!(%error, ?pause, more, "cannot accept connections");
                }
                open.make_room();
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(pause) => pause = (pause * 2).min(ACCEPT_PAUSE.1),
                }
            }
        }
    }
    listener.close().into_iter().for_each(serve);
    connections.close();
    connections.wait().await;
}

struct ConnectionLife {
    open: OpenConnection,
    seat: Option<Seat>,
    /// Ends it with its next answer.
    stop: CancellationToken,
    /// Cuts it at once.
    end: CancellationToken,
    /// How long it may be idle after `stop`.
    quiet: Duration,
}

/// Cuts the connection on which a request came. An endless answer needs this when its peer takes
/// nothing any more: a connection that waits for the peer does not notice that the answer has
/// ended.
#[derive(Clone, Debug)]
pub struct Cut(pub CancellationToken);

async fn connection(
    accepted: Accepted,
    entrance: Arc<Entrance>,
    app: Router,
    mut life: ConnectionLife,
) {
    if let Err(error) = set_options(&accepted) {
        tracing::debug!(%error, "a client left while it was accepted");
        return;
    }
    let Accepted { stream, peer, transport } = accepted;
    let mut stream = TrackedStream::new(stream, life.open.progress.clone(), life.seat.take());
    // hyper holds buffers from the first moment on; a connection that says nothing needs none.
    tokio::select! {
        () = stream.first_byte() => {}
        () = life.stop.cancelled() => {}
        () = life.open.unwanted.cancelled() => {}
        () = life.end.cancelled() => {}
    }
    Box::pin(serve_requests(stream, (peer.ip(), transport), &entrance, app, life)).await;
}

async fn serve_requests(
    stream: TrackedStream,
    (peer, transport): (IpAddr, Transport),
    entrance: &Entrance,
    app: Router,
    ConnectionLife { open, stop, end, quiet, .. }: ConnectionLife,
) {
    let cut = Cut(CancellationToken::new());
    let token = RememberedToken::default();
    let OpenConnection { progress, unwanted, .. } = &open;
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let serving = progress.serve(request.body());
        entrance.enter(&mut request, peer, transport);
        request.extensions_mut().insert(cut.clone());
        request.extensions_mut().insert(token.clone());
        if progress.is_ambiguous() {
            request.extensions_mut().insert(AmbiguousLength);
        }
        let answered = app.clone().oneshot(request.map(|body| Body::new(progress.arriving(body))));
        async move {
            progress.give_way().await;
            let mut response = answered.await?;
            // The router lists the methods of its routes; `OPTIONS` has none and is answered too.
            if let Some(allow) = response.headers_mut().get_mut(header::ALLOW) {
                *allow = HeaderValue::try_from([allow.as_bytes(), b",OPTIONS"].concat())
                    .expect("methods are a header value");
            }
            // An upgrade needs its own `Connection` header.
            let ends = progress.is_leaving() || progress.must_end(MAX_UNREAD);
            if ends && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| serving.answer(body)))
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None) // `TrackedStream` has deadlines of its own
        // The buffer alone is not an exact bound: after it was enlarged it may have room left.
        .max_header_size(MAX_BUFFER)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let no_longer_wanted = async {
        unwanted.cancelled().await;
        // Its request may be in the kernel: the runtime looks there once more.
        tokio::task::yield_now().await;
    };
    let serving = async {
        tokio::select! {
            biased; // a request that has come is served, however unwanted its connection is
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => progress.leave(quiet),
            () = no_longer_wanted => {
                if !progress.is_serving() {
                    return Ok(()); // dropping the connection closes it
                }
            }
        }
        // `graceful_shutdown` would close an idle connection at once, although a request may be on
        // its way.
        if progress.is_serving() {
            connection.as_mut().graceful_shutdown();
        }
        connection.await
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = cut.0.cancelled() => return tracing::debug!("cut a connection whose client reads nothing"),
        () = end.cancelled() => return tracing::debug!("cut a connection whose request did not end in time"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn set_options(Accepted { stream, transport, .. }: &Accepted) -> io::Result<()> {
    rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER)?;
    if *transport == Transport::Unix {
        return Ok(()); // the kernel always notices when a local peer is gone
    }
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(
        stream,
        u32::try_from(ACKNOWLEDGED_WITHIN.as_millis()).unwrap_or(u32::MAX),
    )?;
    Ok(())
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use galley_launch::Listener;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::{MAX_BUFFER, OpenConnections, serve};
    use crate::http::tracked_stream::{HEAD_TIMEOUT, IDLE_TIMEOUT};

    const QUIET: Duration = Duration::from_millis(500);

    struct TestServer {
        client: TcpStream,
        /// Notified when a request to `/slow` has begun.
        began: Arc<Notify>,
        /// Lets the request to `/slow` end.
        release: Arc<Notify>,
        stop: CancellationToken,
        serving: JoinHandle<()>,
    }

    async fn start() -> TestServer {
        let (began, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = get({
            let (began, release) = (Arc::clone(&began), Arc::clone(&release));
            async move || {
                began.notify_one();
                release.notified().await;
                "done"
            }
        });
        let listener =
            Listener::bind(&"127.0.0.1:0".parse().expect("an address"), "--listen", false)
                .expect("a free port");
        let address = listener.to_string().trim_start_matches("http://").to_owned();
        let stop = CancellationToken::new();
        let app = Router::new().route("/slow", slow).route("/fast", get(async || "done"));
        let serving = tokio::spawn(serve(
            listener,
            Arc::default(),
            OpenConnections::new(usize::MAX),
            app,
            stop.clone(),
            QUIET,
        ));
        let client = TcpStream::connect(address).await.expect("a connection");
        TestServer { client, began, release, stop, serving }
    }

    impl TestServer {
        async fn send(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.expect("sent");
        }

        /// Sends a request that waits for `release` in its handler.
        async fn begin_slow(&mut self) {
            self.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
            self.began.notified().await;
        }

        /// Sends a request, and keeps the connection open after its answer.
        async fn ask_fast(&mut self) {
            self.send("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n").await;
            self.read_answer().await;
        }

        /// Reads the answer `done` and keeps the connection open.
        async fn read_answer(&mut self) {
            let mut read = Vec::new();
            while !read.ends_with(b"done") {
                assert_ne!(
                    self.client.read_buf(&mut read).await.expect("an answer"),
                    0,
                    "no end before the answer"
                );
            }
        }

        /// Reads until the server closes.
        async fn rest(&mut self) -> String {
            let mut rest = Vec::new();
            // A server that closes with unread bytes resets the connection, after the bytes that it
            // has sent.
            if let Err(error) = self.client.read_to_end(&mut rest).await {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            }
            String::from_utf8(rest).expect("text")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        for head in ["", "GET /fast HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
            let mut server = start().await;
            server.send(head).await;
            let began = tokio::time::Instant::now();
            server.rest().await;
            assert!(
                began.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(1),
                "{head:?}: {:?}",
                began.elapsed()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_a_pool_and_then_closed() {
        let mut server = start().await;
        let began = tokio::time::Instant::now();
        server.send("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(server.rest().await.ends_with("done"));
        assert!(
            (IDLE_TIMEOUT..=IDLE_TIMEOUT + HEAD_TIMEOUT).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_head_has_no_more_time_than_the_first() {
        let mut server = start().await;
        server.ask_fast().await;
        tokio::time::advance(IDLE_TIMEOUT / 2).await;
        server.send("GET /fast HTTP/1.1\r\nX-Slow: ").await;
        let began = tokio::time::Instant::now();
        server.rest().await;
        assert!(began.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_head_behind_a_request_has_no_more_time_either() {
        for requests in [
            "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            let mut server = start().await;
            server.send(&format!("{requests}GET /fast HTTP/1.1\r\nX-Slow: ")).await;
            let began = tokio::time::Instant::now();
            assert!(server.rest().await.ends_with("done"));
            assert!(
                began.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(1),
                "{:?}",
                began.elapsed()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_takes_as_long_as_it_takes() {
        let mut server = start().await;
        server.begin_slow().await;
        tokio::time::sleep(2 * IDLE_TIMEOUT).await;
        server.release.notify_one();
        server.read_answer().await;
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered_with_a_problem() {
        let large = format!("GET /fast HTTP/1.1\r\nX-Large: {}\r\n\r\n", "x".repeat(MAX_BUFFER));
        for (head, slug) in [("BREW\r\n\r\n", "bad-request"), (&large, "head-too-large")] {
            let mut server = start().await;
            server.send(head).await;
            let answer = server.rest().await;
            assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
            assert!(answer.contains(&format!("/problems/{slug}")), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_request_in_flight_ends_well_and_then_the_server_does() {
        let mut server = start().await;
        server.begin_slow().await;
        server.stop.cancel();
        server.release.notify_one();
        let answer = server.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.serving.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_request_that_does_not_end_is_cut_in_the_end() {
        let mut server = start().await;
        server.begin_slow().await;
        server.stop.cancel();
        tokio::task::yield_now().await;
        server.serving.abort();
        assert_eq!(server.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_does_not_hold_the_server_up() {
        let mut server = start().await;
        server.ask_fast().await;
        server.stop.cancel();
        let began = tokio::time::Instant::now();
        server.rest().await;
        server.serving.await.expect("no panic");
        assert!((QUIET..2 * QUIET).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_on_an_idle_connection_after_the_stop_is_answered() {
        let mut server = start().await;
        server.ask_fast().await;
        server.stop.cancel();
        tokio::time::sleep(QUIET / 2).await;
        server.send("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = server.rest().await;
        assert!(
            answer.contains("\r\nconnection: close\r\n") && answer.ends_with("done"),
            "{answer}"
        );
        server.serving.await.expect("no panic");
    }

    #[tokio::test]
    async fn connections_that_were_not_accepted_yet_are_served_and_later_ones_refused() {
        let listener =
            Listener::bind(&"127.0.0.1:0".parse().expect("an address"), "--listen", false)
                .expect("a free port");
        let address = listener.to_string().trim_start_matches("http://").to_owned();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(&address).await.expect("the kernel lets it in"));
        }
        let stop = CancellationToken::new();
        stop.cancel();
        let serving = tokio::spawn(serve(
            listener,
            Arc::default(),
            OpenConnections::new(usize::MAX),
            Router::new().route("/", get(async || "done")),
            stop,
            QUIET,
        ));
        for client in &mut clients {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        }
        serving.await.expect("no panic");
        let refused = TcpStream::connect(&address).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
