//! Listening, and ending well.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::Router;
use plimsoll_domain::Store;
use tokio::net::TcpListener;

/// Why the server could not listen, in a sentence.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "the address {address} is in use; choose another with --listen or PLIMSOLL_LISTEN"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("no permission to listen on {address}; ports below 1024 need it")
            }
            _ => format!("cannot listen on {address}: {error}"),
        })
}

/// Serves until a signal comes, then takes no new requests, waits for those under way and for
/// the writes that clients left behind, `grace` at the most, and closes the database.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    store: Store,
    grace: Duration,
) -> io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let signal = async move {
        signal().await;
        tracing::info!("stopping: no new requests are taken");
        // The receiver waits below for as long as the server runs.
        let _ = stopping.send(());
    };
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(signal)
        .into_future();
    let mut serving = tokio::spawn(serving);
    tokio::select! {
        ended = &mut serving => return ended.unwrap_or_else(|e| Err(io::Error::other(e))),
        _ = stopped => {}
    }
    let finished = async {
        let served = (&mut serving).await;
        store.database().writes_done().await;
        served.unwrap_or_else(|e| Err(io::Error::other(e)))
    };
    match within(grace, finished).await {
        Some(ended) => ended?,
        None => tracing::warn!("requests were still under way when the time to stop was over"),
    }
    within(Duration::from_secs(5), store.database().close()).await;
    tracing::info!("stopped");
    Ok(())
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// SIGTERM, as service managers send it, or Ctrl-C.
async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
