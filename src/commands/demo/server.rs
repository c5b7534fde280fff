//! The demo's own host, on loopback.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::Path, http::StatusCode, routing::get};

use crate::error::{Error, Result};

/// The same at every demo if it is free: bills name their files by address, so another port would be
/// other content.
const PORT: u16 = 18_417;

/// Serves files until the process ends; `{server}` in them becomes the address.
pub(super) async fn serve(
    find: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Result<SocketAddr> {
    let failed = |error: std::io::Error| {
        Error::Internal(format!("the demo's server does not start: {error}"))
    };
    let listener = match tokio::net::TcpListener::bind(("127.0.0.1", PORT)).await {
        Ok(listener) => listener,
        Err(_) => tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(failed)?,
    };
    let address = listener.local_addr().map_err(failed)?;
    let find = Arc::new(find);
    let file = move |Path(name): Path<String>| async move {
        find(&name)
            .map(|text| text.replace("{server}", &format!("http://{address}")))
            .ok_or(StatusCode::NOT_FOUND)
    };
    let server = axum::serve(listener, Router::new().route("/{name}", get(file)));
    tokio::spawn(async move { server.await });
    Ok(address)
}
