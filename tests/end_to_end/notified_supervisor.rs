//! A service manager, such as systemd, learns from each program when it serves, reads its secrets
//! again, and stops.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use galley_tests::program::Signal;
use galley_tests::{TestStack, within};
use tokio::net::UnixDatagram;

/// The sign of life.
const ALIVE: &str = "WATCHDOG=1";

/// The receiver of a service manager.
struct Manager {
    socket: UnixDatagram,
    signs_of_life: usize,
}

impl Manager {
    /// Listens on a path, or after `@` on a name without a file.
    fn listen(address: &str) -> Self {
        let bound = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).expect("a name"),
            None => SocketAddr::from_pathname(address).expect("a path"),
        };
        let socket = StdDatagram::bind_addr(&bound).expect("an address of its own");
        socket.set_nonblocking(true).expect("an option");
        let socket = UnixDatagram::from_std(socket).expect("within the runtime");
        Self { socket, signs_of_life: 0 }
    }

    /// The next message, as the program sent it.
    async fn any(&mut self) -> String {
        let mut message = [0; 1_024];
        let received = within("a message", self.socket.recv(&mut message)).await;
        let message = &message[..received.expect("a message")];
        String::from_utf8(message.to_vec()).expect("text")
    }

    /// The next message that is no sign of life.
    async fn next(&mut self) -> String {
        loop {
            let message = self.any().await;
            if message != ALIVE {
                return message;
            }
            self.signs_of_life += 1;
        }
    }

    /// Waits for a sign of life.
    async fn alive(&mut self) {
        while self.any().await != ALIVE {}
    }
}

#[tokio::test]
async fn each_program_says_when_it_serves_reads_again_and_stops() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let path = stack.folder().join("notify").display().to_string();
    let name = format!("@galley-test-{}", std::process::id());
    for (program, address, status) in [
        ("galley", path, "listening on http://127.0.0.1:"),
        ("galley-gateway", name.clone(), "listening on http://127.0.0.1:"),
        ("galley-worker", format!("{name}-worker"), "processing orders"),
    ] {
        let mut manager = Manager::listen(&address);
        let settings = [("NOTIFY_SOCKET", &*address), ("WATCHDOG_USEC", "100000")];
        let mut running = stack.launch(program, &settings);
        let ready = manager.next().await;
        assert!(ready.starts_with(&format!("READY=1\nSTATUS={status}")), "{program}: {ready}");
        manager.alive().await;
        running.signal(Signal::HUP);
        assert_eq!(manager.next().await, "RELOADING=1", "{program}");
        assert_eq!(manager.next().await, "READY=1", "{program}");
        running.signal(Signal::TERM);
        assert_eq!(manager.next().await, "STOPPING=1\nSTATUS=stopping", "{program}");
        assert!(running.exit().await.success(), "{program}:\n{}", running.log());
    }
}

#[tokio::test]
async fn signs_of_life_are_sent_only_where_they_are_asked_for() {
    let stack = TestStack::embedded().gateways(0).start().await;
    let path = stack.folder().join("notify").display().to_string();
    let mut manager = Manager::listen(&path);
    let socket = ("NOTIFY_SOCKET", &*path);
    let of_another = [socket, ("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "1")];
    for settings in [&[socket][..], &of_another, &[socket, ("WATCHDOG_USEC", "soon")]] {
        let mut running = stack.launch("galley", settings);
        assert!(manager.next().await.starts_with("READY=1\n"));
        running.stop().await;
        assert!(manager.next().await.starts_with("STOPPING=1\n"));
        assert_eq!(manager.signs_of_life, 0, "{settings:?}");
    }
}

#[tokio::test]
async fn a_service_manager_that_cannot_be_reached_is_named_and_everything_is_served() {
    let stack = TestStack::embedded().gateways(0).start().await;
    let nowhere = stack.folder().join("nowhere").display().to_string();
    for address in [&*nowhere, "vsock:2:1"] {
        let mut running = stack.launch("galley", &[("NOTIFY_SOCKET", address)]);
        let named = format!("cannot notify the service manager at NOTIFY_SOCKET={address}");
        running.line(&named).await;
        running.stop().await;
        assert_eq!(running.log().matches(&named).count(), 1, "{}", running.log());
    }
}
