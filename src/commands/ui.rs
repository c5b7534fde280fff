//! `redledger ui`: the pages in a browser on this machine. It reads only, and needs no lock.
//!
//! Other users of the machine can reach the address, too, and must not read what the folder's mode hides: the printed
//! address holds a token that opens it once, for one browser (see `access`).

mod access;
mod asked;

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use hyper::{Request, StatusCode, body::Incoming, header};
use tokio::sync::{oneshot, watch};

use self::{
    access::{Access, Admission},
    asked::Asked,
};
use super::{
    connections::{Answers, Connections},
    context::Context,
    output::say,
    page,
    signals::Signals,
};
use crate::{
    cli::Ui,
    error::{Error, ExitStatus, Result},
    page::{BatchPage, Choice, FilePage, Links, NightPage, policy},
};

pub(super) fn run(context: &Context, arguments: &Ui) -> Result<ExitStatus> {
    let choice = page::choice(&arguments.page, Links::Served);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    let (sender, waiting) = mpsc::channel::<Question>();
    std::thread::scope(|scope| {
        // One page at a time, so that memory stays what one takes.
        scope.spawn(|| {
            for (asked, reply) in waiting {
                let _ = reply.send(answer(context, &asked, choice));
            }
        });
        let ended = runtime.block_on(serve(arguments, sender));
        // With it goes the last who could ask.
        drop(runtime);
        ended
    })?;
    Ok(ExitStatus::Success)
}

/// What is asked for, and who waits for it.
type Question = (Asked, oneshot::Sender<Response>);

async fn serve(arguments: &Ui, sender: mpsc::Sender<Question>) -> Result<()> {
    let failed = || Error::io("listen on", arguments.listen.to_string());
    let addresses = arguments.listen.addresses().map_err(failed())?;
    if let Some(reached) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(Error::Usage {
            message: format!("{reached} is no address of this machine alone"),
            hint: Some(
                "pages are served without TLS: use 127.0.0.1, and ssh -L from elsewhere".into(),
            ),
        });
    }
    let listener = tokio::net::TcpListener::bind(&*addresses)
        .await
        .map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let mut signals = Signals::new()?;
    let access = Access::new(address)?;
    say!("open once, in one browser: {}", access.address());
    let window = Arc::new(Window { access, sender });
    let (_stopping, stop) = watch::channel(false);
    tokio::select! {
        () = Connections::new().serve(listener, window, stop) => {}
        () = signals.next() => {}
    }
    Ok(())
}

/// What the requests share.
struct Window {
    access: Access,
    sender: mpsc::Sender<Question>,
}

impl Answers for Window {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>, _: SocketAddr) -> Response {
        let mut response = match self.access.admit(&request) {
            Admission::Refused(status, why) => (status, format!("{why}\n")).into_response(),
            Admission::Redeemed(cookie) => {
                let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, "/".into())];
                (StatusCode::SEE_OTHER, headers).into_response()
            }
            Admission::Granted => match Asked::of(request.uri()) {
                None => nothing_there(),
                Some(asked) => self.ask(asked).await,
            },
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, policy()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

impl Window {
    async fn ask(&self, asked: Asked) -> Response {
        let (reply, answer) = oneshot::channel();
        let gone = || StatusCode::SERVICE_UNAVAILABLE.into_response();
        if self.sender.send((asked, reply)).is_err() {
            return gone();
        }
        answer.await.unwrap_or_else(|_| gone())
    }
}

fn nothing_there() -> Response {
    (StatusCode::NOT_FOUND, "nothing is here\n").into_response()
}

/// A page, made from the warehouse as it is now.
fn answer(context: &Context, asked: &Asked, choice: Choice) -> Response {
    let made = page::look(context, &|_| {}, |sources| match asked {
        Asked::Nights => page::rendered(&NightPage::of(sources, choice)?),
        Asked::File { file_id, line } => {
            page::rendered(&FilePage::of(sources, *file_id, *line, choice)?)
        }
        Asked::Batch { batch_no, dataset } => page::rendered(&BatchPage::of(
            sources,
            batch_no,
            dataset.as_deref(),
            choice,
        )?),
    });
    match made {
        Ok(page) => {
            let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (html, Body::from(page)).into_response()
        }
        Err(error) => {
            let status = match error {
                Error::Usage { .. } => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let hint = error
                .hint()
                .map_or_else(String::new, |hint| format!("\n{hint}"));
            (status, format!("{}{hint}\n", error.chain())).into_response()
        }
    }
}
