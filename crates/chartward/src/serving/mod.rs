//! What every server of ours has in common: bounded connections, heads and times, whatever is at the other end.

mod seats;
pub(crate) mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::runtime::Runtime;

use seats::Seats;

const WORKERS: usize = 2;
/// The head of a request must be there by then, and a connection that asks nothing is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a head is read and how long that may take; programs send less than browsers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    headers_max: usize,
    bytes_max: usize,
    timeout: Duration,
}

impl Head {
    pub(crate) const OF_A_BROWSER: Head =
        Head { headers_max: 64, bytes_max: 32 * 1024, timeout: HEAD_TIMEOUT };
    pub(crate) const OF_A_PROGRAM: Head =
        Head { headers_max: 32, bytes_max: 16 * 1024, timeout: HEAD_TIMEOUT };

    /// With another time.
    pub(crate) fn within(self, timeout: Duration) -> Head {
        Head { timeout, ..self }
    }
}

/// Takes the port. The address is the real one also where port 0 was asked for.
pub(crate) fn bind(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The threads of a server. What waits for one of the `blocking_max` threads for blocking work is bounded by the connections.
pub(crate) fn runtime(name: &str, blocking_max: usize) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(blocking_max)
        .thread_name(name)
        .enable_io()
        .enable_time()
        .build()
}

/// Answers until `handle` ends it.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
    head: Head,
    routes: Router,
) -> io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(listener)?.handle(handle).http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head.timeout)
        .max_headers(head.headers_max)
        .max_buf_size(head.bytes_max);
    match tls {
        None => server.acceptor(Seats::default()).serve(service).await,
        Some(config) => {
            let acceptor =
                RustlsAcceptor::new(config).handshake_timeout(HANDSHAKE_TIMEOUT).acceptor(Seats::default());
            server.acceptor(acceptor).serve(service).await
        }
    }
}
