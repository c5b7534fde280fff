//! One object's bytes, whatever happens to the connections that carry them.
//!
//! A broken connection is followed by another that goes on where it broke, if the server can show that it
//! still has the same object (RFC 9110, section 13.1.5: `If-Range`). A server that can't is read again from
//! the first byte, and what was handed on already is compared instead of handed on twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use futures_util::StreamExt as _;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, ETAG, HeaderMap, LAST_MODIFIED},
};

use super::{
    checksum::{Checks, Verdict},
    http::{self, Question, RangeRequest},
    opened::{BodyStream, Wholeness},
    permits::Permits,
    response::{ContentRange, Framing, validator},
    retry::{Attempts, Failure},
    site::Site,
};
use crate::{error::FetchError, source_url::SourceUrl};

/// What must stay the same for a continuation to belong to what was read before.
struct Object {
    headers: HeaderMap,
    /// Bytes of the whole object, once known.
    total: Option<u64>,
}

/// The connection in use.
struct Current {
    response: Response,
    framing: Framing,
    /// Bytes of this response's body so far.
    received: u64,
    reread: Option<Reread>,
    /// Bytes and time of the minimum speed's window.
    window: (u64, Duration),
}

/// The comparison of bytes that were handed on before.
struct Reread {
    left: u64,
    digest: Digest,
}

/// The state of one download.
pub(super) struct Transfer {
    site: Arc<Site>,
    url: SourceUrl,
    question: Question,
    origin: String,
    permits: Permits,
    attempts: Attempts,
    wholeness: Wholeness,
    /// Bytes received over the network, for the limit on the decoded ratio.
    received: Arc<AtomicU64>,
    object: Option<Object>,
    checks: Checks,
    delivered: u64,
    /// What was delivered when the last attempt began.
    delivered_before: u64,
    /// A CRC-64 of what was delivered; a change slips through once in 2^64.
    digest: Digest,
    current: Option<Current>,
    /// Whether ranges may still be asked for.
    ranges: bool,
}

/// A download that has begun: the first bytes are there, or the body is empty.
pub(super) struct Begun {
    pub(super) headers: HeaderMap,
    pub(super) length: Option<u64>,
    pub(super) body: BodyStream,
    pub(super) wholeness: Wholeness,
    pub(super) received: Arc<AtomicU64>,
    /// Headers whose checksums could not be read.
    pub(super) unread_checksums: Vec<&'static str>,
}

impl Transfer {
    /// Waits for a turn, then for the first bytes.
    pub(super) async fn begin(
        site: Arc<Site>,
        url: &SourceUrl,
        question: Question,
    ) -> Result<Begun, FetchError> {
        let origin = url.to_string();
        site.guard
            .check(url.secret())
            .map_err(|denied| Failure::refused(denied.0).at(&origin))?;
        let host = url.secret().host_str().unwrap_or_default();
        let permits = site.limits.acquire(host).await;
        let mut transfer = Self {
            attempts: Attempts::new(Arc::clone(&site.config), Arc::clone(&site.pace)),
            site,
            url: url.clone(),
            question,
            origin,
            permits,
            wholeness: Wholeness::default(),
            received: Arc::default(),
            object: None,
            checks: Checks::default(),
            delivered: 0,
            delivered_before: 0,
            digest: Digest::new(CrcAlgorithm::Crc64Nvme),
            current: None,
            ranges: true,
        };
        let first = transfer.next().await?;
        let (headers, length) = transfer
            .object
            .as_ref()
            .map(|object| (object.headers.clone(), object.total))
            .unwrap_or_default();
        let unread_checksums = transfer.checks.unread().to_vec();
        let wholeness = transfer.wholeness.clone();
        let received = Arc::clone(&transfer.received);
        let body: BodyStream = match first {
            None => futures_util::stream::empty().boxed(),
            Some(first) => futures_util::stream::once(async { Ok(first) })
                .chain(futures_util::stream::try_unfold(
                    transfer,
                    |mut transfer| async move {
                        Ok(transfer.next().await?.map(|piece| (piece, transfer)))
                    },
                ))
                .boxed(),
        };
        Ok(Begun {
            headers,
            length,
            body,
            wholeness,
            received,
            unread_checksums,
        })
    }

    /// The next new bytes; `None` after a verified end.
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let step = match self.current {
                None => self.connect().await.map(|()| None),
                Some(_) => self.read().await,
            };
            match step {
                Ok(None) => {}
                Ok(Some(Step::Piece(piece))) => return Ok(Some(piece)),
                Ok(Some(Step::End)) => return Ok(None),
                Err(failure) => self.recover(failure).await?,
            }
        }
    }

    /// Waits for the next attempt, if there is to be one.
    async fn recover(&mut self, mut failure: Failure) -> Result<(), FetchError> {
        self.current = None;
        if self.delivered == 0 {
            // Nothing was handed on, so nothing has to stay the same.
            self.object = None;
            self.ranges = true;
            if failure.kind == crate::error::FetchKind::Changed {
                failure.kind = crate::error::FetchKind::Passing;
            }
        }
        if self.delivered > self.delivered_before && self.range().is_some() {
            self.attempts.progressed();
        }
        self.delivered_before = self.delivered;
        let message = failure.message.clone();
        let wait = self
            .attempts
            .again(failure)
            .map_err(|failure| failure.at(&self.origin))?;
        tracing::debug!(
            origin = %self.origin,
            attempt = self.attempts.made(),
            at_byte = self.delivered,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "trying again: {message}"
        );
        self.permits.pause();
        self.attempts.sleep(wait).await;
        self.permits.resume().await;
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let range = self.range();
        let response = http::request(
            &self.site.client,
            &self.site.guard,
            &self.site.config,
            &mut self.attempts,
            &self.url,
            &self.question,
            range.as_ref(),
        )
        .await?;
        let framing = Framing::of(&response);
        let mut reread = None;
        match (response.status(), &range) {
            (StatusCode::OK, _) if self.delivered == 0 => self.adopt(&response, framing)?,
            (StatusCode::OK, _) => {
                self.same_object(&response)?;
                if let Framing::Length(length) = framing {
                    self.same_total(length)?;
                }
                reread = Some(Reread {
                    left: self.delivered,
                    digest: Digest::new(CrcAlgorithm::Crc64Nvme),
                });
            }
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let content_range = ContentRange::of(response.headers());
                self.same_object(&response)?;
                match content_range {
                    Some(got) if got.first == range.from => {
                        if let Some(total) = got.total {
                            self.same_total(total)?;
                        }
                    }
                    _ => {
                        self.ranges = false;
                        return Err(Failure::passing(
                            "the server continued at another byte than asked",
                        ));
                    }
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                // Either the object is shorter now or the server is odd: reading it again will show.
                self.ranges = false;
                return Err(Failure::passing(
                    "the server can't continue where the connection broke",
                ));
            }
            _ => return Err(http::refusal(response, &mut self.attempts).await),
        }
        self.current = Some(Current {
            response,
            framing,
            received: 0,
            reread,
            window: (0, Duration::ZERO),
        });
        Ok(())
    }

    /// What to ask for: the rest, if the server gave something to recognise the object by.
    fn range(&self) -> Option<RangeRequest> {
        let object = self.object.as_ref()?;
        (self.delivered > 0 && self.ranges)
            .then(|| validator(&object.headers))
            .flatten()
            .map(|validator| RangeRequest {
                from: self.delivered,
                validator,
            })
    }

    /// Takes the first response of an object as what later ones must agree with.
    fn adopt(&mut self, response: &Response, framing: Framing) -> Result<(), Failure> {
        let total = match framing {
            Framing::Length(length) => Some(length),
            Framing::Marked | Framing::Close => None,
        };
        self.checks = Checks::from_headers(response.headers(), framing == Framing::Close);
        self.digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        self.object = Some(Object {
            headers: response.headers().clone(),
            total,
        });
        total.map_or(Ok(()), |total| self.within_limit(total))
    }

    fn same_object(&self, response: &Response) -> Result<(), Failure> {
        let Some(object) = &self.object else {
            return Ok(());
        };
        for name in [ETAG, LAST_MODIFIED, CONTENT_ENCODING] {
            let (before, now) = (object.headers.get(&name), response.headers().get(&name));
            // A 206 to If-Range may leave out what the client knows (RFC 9110, section 15.3.7).
            let left_out = response.status() == StatusCode::PARTIAL_CONTENT && now.is_none();
            if before != now && !left_out {
                return Err(Failure::changed(format!(
                    "the object changed while it was read (another {name})"
                )));
            }
        }
        Ok(())
    }

    fn same_total(&mut self, total: u64) -> Result<(), Failure> {
        if let Some(object) = &mut self.object {
            match object.total {
                Some(before) if before != total => {
                    return Err(Failure::changed(format!(
                        "the object changed while it was read ({total} bytes instead of {before})"
                    )));
                }
                _ => object.total = Some(total),
            }
        }
        self.within_limit(total)
    }

    fn within_limit(&self, bytes: u64) -> Result<(), Failure> {
        let limit = self.site.config.max_bytes;
        if bytes > limit.0 {
            return Err(Failure::malformed(format!(
                "the file is larger than {limit} (`max_bytes`)"
            )));
        }
        Ok(())
    }

    /// Reads a piece from the current connection.
    async fn read(&mut self) -> Result<Option<Step>, Failure> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let idle = self.site.config.idle_timeout;
        let (read, elapsed) = self
            .attempts
            .timed(idle, "byte", current.response.chunk())
            .await?;
        let Some(mut piece) = read.map_err(|error| http::describe(&error))? else {
            return self.end().map(|()| Some(Step::End));
        };
        let length = piece.len() as u64;
        current.received += length;
        self.received.fetch_add(length, Ordering::Relaxed);
        current.window.0 += length;
        current.window.1 += elapsed;
        if current.window.1 >= idle {
            let least = self
                .site
                .config
                .min_speed
                .0
                .saturating_mul(current.window.1.as_millis() as u64)
                / 1000;
            if current.window.0 < least {
                return Err(Failure::passing(format!(
                    "slower than {} (`min_speed`)",
                    self.site.config.min_speed
                )));
            }
            current.window = (0, Duration::ZERO);
        }
        if let Some(reread) = &mut current.reread {
            let old = piece.split_to(
                usize::try_from(reread.left)
                    .unwrap_or(usize::MAX)
                    .min(piece.len()),
            );
            reread.digest.update(&old);
            reread.left -= old.len() as u64;
            if reread.left == 0 {
                if reread.digest.finalize() != self.digest.finalize() {
                    return Err(Failure::changed(
                        "the object changed while it was read (other bytes at its start)",
                    ));
                }
                current.reread = None;
            }
        }
        if piece.is_empty() {
            return Ok(None);
        }
        self.digest.update(&piece);
        self.checks.update(&piece);
        self.delivered += piece.len() as u64;
        self.within_limit(self.delivered)?;
        Ok(Some(Step::Piece(piece)))
    }

    /// Judges the end of a response's body.
    fn end(&mut self) -> Result<(), Failure> {
        let (Some(current), Some(object)) = (&self.current, &self.object) else {
            return Ok(());
        };
        if let Framing::Length(length) = current.framing
            && current.received != length
        {
            return Err(Failure::passing(format!(
                "the body ended after {} of {length} bytes",
                current.received
            )));
        }
        if current.reread.is_some() {
            return Err(match current.framing {
                Framing::Close => Failure::passing("the connection closed early"),
                _ => Failure::changed("the object changed while it was read (it is shorter)"),
            });
        }
        match object.total {
            Some(total) if self.delivered < total => {
                return Err(Failure::passing(format!(
                    "the body ended after {} of {total} bytes",
                    self.delivered
                )));
            }
            Some(total) if self.delivered > total => {
                return Err(Failure::malformed(format!(
                    "the body goes on after the {total} bytes announced"
                )));
            }
            _ => {}
        }
        let framed = current.framing != Framing::Close || object.total.is_some();
        match self.checks.verdict() {
            Verdict::Mismatched(header) if self.delivered_before > 0 => {
                Err(Failure::changed(format!(
                    "the file, read over several connections, does not match its checksum ({header})"
                )))
            }
            Verdict::Mismatched(header) => Err(Failure::malformed(format!(
                "the file does not match its checksum ({header})"
            ))),
            Verdict::Matched => {
                self.wholeness.prove();
                Ok(())
            }
            Verdict::Silent if framed => {
                self.wholeness.prove();
                Ok(())
            }
            Verdict::Silent => {
                self.wholeness.doubt(
                    "the server sent neither a length nor an end mark nor a checksum, so that a cut can't be told from the end",
                );
                Ok(())
            }
        }
    }
}

enum Step {
    Piece(Bytes),
    End,
}
