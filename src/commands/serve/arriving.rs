//! Bodies on their way: nobody knows yet whether their senders may announce anything.
//!
//! The first bytes of a body are taken as they come; the number of connections bounds them. For more, an announcement
//! waits for room, and its sender with it. So many greedy senders take no more memory than two, and small announcements
//! never wait behind them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt as _;
use hyper::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a body that are taken without waiting for room.
const FREE: usize = 16 << 10;
/// Room is given out in pieces of so many bytes.
const PIECE: usize = 1 << 10;
/// Announcements of the largest size that there is room for.
const LARGEST_AT_ONCE: usize = 2;
/// There is always room for so many bytes.
const LEAST_ROOM: usize = 32_000_000;
/// Longest silence within a body.
const SILENCE: Duration = Duration::from_secs(10);
/// Bytes a second that keep a sender its room while others wait for it, after [`GRACE`].
const PACE: f64 = 64_000.0;
/// How long a sender that others wait for may take to begin.
const GRACE: Duration = Duration::from_secs(2);
/// How often a sender's pace is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Bytes that are kept in one piece. The allocator does not soon take back large pieces that another thread than
/// theirs gives up.
const BLOCK: usize = 64 << 10;

/// A body that has arrived, and the room that it takes.
#[derive(Default)]
pub(super) struct Arrived {
    blocks: Vec<Vec<u8>>,
    length: usize,
    /// Given back when this is dropped; `None` for a small one.
    room: Option<OwnedSemaphorePermit>,
}

impl Arrived {
    /// Bytes of the body.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The body in one piece, and the room, to be held as long as that is.
    pub(super) fn whole(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        let mut whole = Vec::with_capacity(self.length);
        // Each block is given up at once.
        self.blocks
            .into_iter()
            .for_each(|block| whole.extend_from_slice(&block));
        (whole, self.room)
    }

    fn add(&mut self, mut piece: &[u8]) {
        self.length += piece.len();
        if let Some(block) = self.blocks.last_mut() {
            let (fits, rest) = piece.split_at(piece.len().min(BLOCK - block.len()));
            block.extend_from_slice(fits);
            piece = rest;
        }
        self.blocks.extend(piece.chunks(BLOCK).map(<[u8]>::to_vec));
    }
}

/// Why a body was not taken: what its sender is told.
pub(super) type Refusal = (StatusCode, &'static str);

const TOO_LARGE: Refusal = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "the announcement is larger than this receiver takes",
);
const TOO_SLOW: Refusal = (
    StatusCode::REQUEST_TIMEOUT,
    "the announcement has not arrived in time",
);
const NO_ROOM: Refusal = (
    StatusCode::SERVICE_UNAVAILABLE,
    "too many large announcements at once, try again",
);
const CUT_OFF: Refusal = (StatusCode::BAD_REQUEST, "the body was cut off");

/// Where bodies arrive.
pub(super) struct Arriving {
    max_body: usize,
    timeout: Duration,
    room: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Arriving {
    pub(super) fn new(max_body: usize, timeout: Duration) -> Self {
        let room = LARGEST_AT_ONCE.saturating_mul(max_body).max(LEAST_ROOM);
        let pieces = room.div_ceil(PIECE).min(Semaphore::MAX_PERMITS);
        Self {
            max_body,
            timeout,
            room: Arc::new(Semaphore::new(pieces)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Reads a body of the `declared` size, where that is said.
    pub(super) async fn read(&self, body: Body, declared: Option<u64>) -> Result<Arrived, Refusal> {
        let declared = match declared.map(usize::try_from) {
            None => None,
            Some(Ok(declared)) if declared <= self.max_body => Some(declared),
            Some(_) => return Err(TOO_LARGE),
        };
        let mut pieces = body.into_data_stream();
        let mut arrived = Arrived::default();
        let mut began = Instant::now();
        while let Some(piece) = self.next(&mut pieces, &arrived, began).await? {
            let length = arrived.length + piece.len();
            if length > self.max_body {
                return Err(TOO_LARGE);
            }
            if arrived.room.is_none() && length > FREE {
                let needed = declared.unwrap_or(self.max_body).max(length);
                arrived.room = Some(self.make_room(needed).await?);
                // Whoever had to wait is not the slower for it.
                began = Instant::now();
            }
            arrived.add(&piece);
        }
        Ok(arrived)
    }

    async fn make_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let room = Arc::clone(&self.room).acquire_many_owned(pieces);
        let room = tokio::time::timeout(self.timeout, room).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        room.ok().and_then(Result::ok).ok_or(NO_ROOM)
    }

    /// The next piece; `None` at the end.
    async fn next(
        &self,
        pieces: &mut BodyDataStream,
        arrived: &Arrived,
        began: Instant,
    ) -> Result<Option<Bytes>, Refusal> {
        let silent_since = Instant::now();
        loop {
            if began.elapsed() >= self.timeout || silent_since.elapsed() >= SILENCE {
                return Err(TOO_SLOW);
            }
            let in_the_way = arrived.room.is_some() && self.waiting.load(Ordering::Relaxed) > 0;
            let pace = arrived.length as f64 / began.elapsed().as_secs_f64().max(0.001);
            if in_the_way && began.elapsed() >= GRACE && pace < PACE {
                return Err(TOO_SLOW);
            }
            let look = LOOK.min(self.timeout.saturating_sub(began.elapsed()));
            match tokio::time::timeout(look, pieces.next()).await {
                Err(_) => {}
                Ok(None) => return Ok(None),
                Ok(Some(Ok(piece))) => return Ok(Some(piece)),
                Ok(Some(Err(_))) => return Err(CUT_OFF),
            }
        }
    }
}
