//! A server that takes TLS off and passes the bytes on, as load balancers do.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::{TestCertificate, install_tls_provider};

/// TLS in front of a server of this machine; it and its connections end when dropped.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    /// Starts it with this certificate, in front of the server at this port.
    pub async fn start(certificate: &TestCertificate, server: u16) -> Self {
        install_tls_provider();
        let chain = CertificateDer::pem_file_iter(&certificate.certificate).expect("a file");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(acceptor.clone(), client, server));
            }
        };
        Self { port, accepting: tokio::spawn(accepting) }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(acceptor: TlsAcceptor, client: TcpStream, server: u16) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    // A client that goes away without a word is no error here.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
