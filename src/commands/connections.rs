//! Connections: how many there are, and how long one may wait for its sender.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::response::Response;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
};

/// Who answers.
pub(super) trait Answers: Send + Sync + 'static {
    /// To one request of one connection.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// Longest time for a request's head to arrive, and between two requests of a connection.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a head, and of a body that lie between the network and the reader.
const BUFFER: usize = 16 << 10;
/// Connections at once, where the system lets us have so many.
const MOST: usize = 4_096;
/// Open files that are not connections.
const OTHER_FILES: u64 = 256;
/// After a signal, for a request that may just be arriving.
const LAST_REQUEST: Duration = Duration::from_millis(300);
/// Before the next attempt to take a connection when there was no room for it.
const REFUSED: Duration = Duration::from_millis(50);

/// The connections at hand.
pub(super) struct Connections {
    most: usize,
    room: Arc<Semaphore>,
    /// Those without a request under way, the one that has waited longest first.
    idle: Mutex<BTreeMap<u64, Arc<Notify>>>,
    next: Mutex<u64>,
}

impl Connections {
    pub(super) fn new() -> Arc<Self> {
        let files = usize::try_from(open_files().saturating_sub(OTHER_FILES)).unwrap_or(MOST);
        let most = files.clamp(16, MOST);
        Arc::new(Self {
            most,
            room: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
            next: Mutex::default(),
        })
    }

    /// Serves until `stop`, and then until every request under way is answered.
    pub(super) async fn serve<A: Answers>(
        self: Arc<Self>,
        listener: TcpListener,
        answers: Arc<A>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                () = asked(&mut stop) => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    self.close_longest_idle();
                    tokio::time::sleep(REFUSED).await;
                    continue;
                }
            };
            let Ok(permit) = self.permit().await else {
                break;
            };
            let (connections, answers, stop) =
                (Arc::clone(&self), Arc::clone(&answers), stop.clone());
            tokio::spawn(async move {
                connections.one(stream, peer, &answers, stop).await;
                drop(permit);
            });
        }
        // Nobody is to wait for a receiver that takes no more.
        drop(listener);
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        let _ = self.room.acquire_many(all).await;
    }

    /// The right to one more connection. Where there are too many, the one that has said nothing for the longest time
    /// makes room: a sender that means it takes a moment only.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Ok(permit);
        }
        loop {
            self.close_longest_idle();
            let permit = Arc::clone(&self.room).acquire_owned();
            // Where all were busy, one may be idle by now.
            if let Ok(permit) = tokio::time::timeout(REFUSED, permit).await {
                return permit;
            }
        }
    }

    fn close_longest_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, close)) = idle.pop_first() {
            close.notify_one();
        }
    }

    fn enter_idle(&self, close: &Arc<Notify>) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.insert(*next, Arc::clone(close));
        *next
    }

    fn leave_idle(&self, number: u64) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(&number);
    }

    async fn one<A: Answers>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        answers: &Arc<A>,
        mut stop: watch::Receiver<bool>,
    ) {
        let close = Arc::new(Notify::new());
        let place = Mutex::new(self.enter_idle(&close));
        let is_busy = AtomicBool::new(false);
        let service = service_fn(|request| {
            let (place, is_busy, close) = (&place, &is_busy, &close);
            async move {
                is_busy.store(true, Ordering::Relaxed);
                self.leave_idle(*place.lock().unwrap_or_else(PoisonError::into_inner));
                let answer = answers.answer(request, peer).await;
                *place.lock().unwrap_or_else(PoisonError::into_inner) = self.enter_idle(close);
                is_busy.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            () = close.notified() => {}
            () = asked(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                loop {
                    tokio::select! {
                        _ = connection.as_mut() => break,
                        () = tokio::time::sleep(LAST_REQUEST) => {
                            if !is_busy.load(Ordering::Relaxed) {
                                break;
                            }
                        }
                    }
                }
            }
        }
        self.leave_idle(*place.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Ends when the receiver is asked to stop.
async fn asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How many files may be open, after asking for as many as connections need.
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = MOST as u64 + OTHER_FILES;
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let set = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    );
    match set {
        Ok(()) => raised,
        Err(_) => current,
    }
}
