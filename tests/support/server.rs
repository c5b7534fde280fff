//! An HTTP server on a raw socket, so that it can lie.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A request as it came, and its number on this server from 0.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The first byte that a `Range` asks for.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// How the body's end is announced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Framing {
    /// `Content-Length`, true.
    Length,
    /// `Content-Length`, whatever is said here.
    Claims(usize),
    /// Chunks of so many bytes.
    Chunked(usize),
    /// Nothing: the connection closes.
    Close,
}

/// What happens after the bytes have been sent up to some byte of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection closes in good order.
    Close(usize),
    /// The connection is reset.
    Reset(usize),
    /// Nothing more comes, but the connection stays.
    Stall(usize),
    /// From here one byte comes at a time, after each pause.
    Drip(usize, Duration),
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    fault: Option<Fault>,
    /// Sent again and again after the body (or, with no status line, instead of everything).
    endless: Option<Vec<u8>>,
    /// Nothing of the body is sent before this is true.
    held: Option<tokio::sync::watch::Receiver<bool>>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: format!("HTTP/1.1 {status} Scripted"),
            headers: Vec::new(),
            body: body.into(),
            framing: Framing::Length,
            fault: None,
            endless: None,
            held: None,
        }
    }

    /// A redirect to `location`.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(302, "").header("Location", location)
    }

    /// A response head that never ends.
    pub(crate) fn endless_head() -> Self {
        let mut reply = Self::new(200, "");
        reply.status = "HTTP/1.1 200 Scripted\r\nX-Long: ".to_owned();
        reply.framing = Framing::Close;
        reply.endless = Some(vec![b'a'; 64 * 1024]);
        reply
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    pub(crate) fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// After the body, `bytes` without end.
    pub(crate) fn endless(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.endless = Some(bytes.into());
        self
    }

    /// Nothing of the body is sent before `gate` is true.
    pub(crate) fn held(mut self, gate: tokio::sync::watch::Receiver<bool>) -> Self {
        self.held = Some(gate);
        self
    }

    /// Says HTTP/1.0.
    pub(crate) fn old(mut self) -> Self {
        self.status = self.status.replace("HTTP/1.1", "HTTP/1.0");
        self
    }
}

/// An object of an honest store: length, ETag, ranges, `If-Range`.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Object {
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            headers: vec![("ETag".into(), "\"v1\"".into())],
        }
    }

    /// The same without an ETag.
    pub(crate) fn anonymous(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn validates(&self, if_range: Option<&str>) -> bool {
        if_range.is_none_or(|wanted| {
            self.headers
                .iter()
                .any(|(name, value)| (name == "ETag" || name == "Last-Modified") && value == wanted)
        })
    }

    /// The honest answer.
    pub(crate) fn reply(&self, request: &Request) -> Reply {
        let mut reply = match request.from() {
            Some(from) if self.validates(request.header("if-range")) => {
                let total = self.body.len();
                if from >= total {
                    Reply::new(416, "").header("Content-Range", &format!("bytes */{total}"))
                } else {
                    Reply::new(206, &self.body[from..]).header(
                        "Content-Range",
                        &format!("bytes {from}-{}/{total}", total - 1),
                    )
                }
            }
            _ => Reply::new(200, self.body.clone()),
        };
        reply.headers.extend(self.headers.iter().cloned());
        reply
    }

    /// The whole, whatever was asked for.
    pub(crate) fn whole(&self) -> Reply {
        let mut reply = Reply::new(200, self.body.clone());
        reply.headers.extend(self.headers.iter().cloned());
        reply
    }
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Listens on loopback; `answer` makes each reply.
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer).await
    }

    /// The same at an address of loopback.
    pub(crate) async fn start_at(
        address: &str,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let open: Arc<AtomicUsize> = Arc::default();
        let answer = Arc::new(answer);
        let task = tokio::spawn({
            let (requests, connections, open) = (
                Arc::clone(&requests),
                Arc::clone(&connections),
                Arc::clone(&open),
            );
            async move {
                let mut serving = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (requests, open, answer) = (
                        Arc::clone(&requests),
                        Arc::clone(&open),
                        Arc::clone(&answer),
                    );
                    serving.spawn(async move {
                        open.fetch_add(1, Ordering::SeqCst);
                        // A client that goes away is part of most stories.
                        let _ = serve(stream, &requests, &*answer).await;
                        open.fetch_sub(1, Ordering::SeqCst);
                    });
                    while serving.try_join_next().is_some() {}
                }
            }
        });
        Self {
            address,
            requests,
            connections,
            open,
            task,
        }
    }

    /// Gives the replies in order, the last one for ever.
    pub(crate) async fn script(replies: impl Into<Vec<Reply>>) -> Self {
        let replies = replies.into();
        Self::start(move |request| replies[request.number.min(replies.len() - 1)].clone()).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("unpoisoned").clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let Some(mut request) = read_request(&mut stream).await? else {
            return Ok(());
        };
        {
            let mut all = requests.lock().expect("unpoisoned");
            request.number = all.len();
            all.push(request.clone());
        }
        if !send(&mut stream, &answer(&request)).await? {
            return Ok(());
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    Ok(Some(Request {
        number: 0,
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }))
}

/// Sends a reply; says whether the connection can be used again.
async fn send(stream: &mut TcpStream, reply: &Reply) -> io::Result<bool> {
    let mut head = reply.status.clone();
    for (name, value) in &reply.headers {
        head.push_str(&format!("\r\n{name}: {value}"));
    }
    match reply.framing {
        Framing::Length => head.push_str(&format!("\r\nContent-Length: {}", reply.body.len())),
        Framing::Claims(length) => head.push_str(&format!("\r\nContent-Length: {length}")),
        Framing::Chunked(_) => head.push_str("\r\nTransfer-Encoding: chunked"),
        Framing::Close => head.push_str("\r\nConnection: close"),
    }
    let endless_head = head.contains("X-Long");
    if !endless_head {
        head.push_str("\r\n\r\n");
    }
    stream.write_all(head.as_bytes()).await?;
    if let Some(mut gate) = reply.held.clone() {
        // A gate whose keeper is gone is open.
        let _ = gate.wait_for(|open| *open).await;
    }
    let at = match reply.fault {
        Some(Fault::Close(at) | Fault::Reset(at) | Fault::Stall(at) | Fault::Drip(at, _)) => {
            at.min(reply.body.len())
        }
        None => reply.body.len(),
    };
    send_body(stream, &reply.body[..at], reply.framing).await?;
    match reply.fault {
        Some(Fault::Close(_)) => {
            stream.shutdown().await?;
            return Ok(false);
        }
        Some(Fault::Reset(_)) => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Some(Fault::Stall(_)) => {
            // Until the client gives up.
            let _ = stream.read_u8().await;
            return Ok(false);
        }
        Some(Fault::Drip(_, pause)) => {
            for byte in reply.body[at..].chunks(1) {
                tokio::time::sleep(pause).await;
                send_body(stream, byte, reply.framing).await?;
            }
        }
        None => {}
    }
    if let Some(bytes) = &reply.endless {
        loop {
            send_body(stream, bytes, reply.framing).await?;
        }
    }
    match reply.framing {
        Framing::Chunked(_) => stream.write_all(b"0\r\n\r\n").await?,
        Framing::Close | Framing::Claims(_) => {
            stream.shutdown().await?;
            return Ok(false);
        }
        Framing::Length => {}
    }
    Ok(!reply.status.starts_with("HTTP/1.0"))
}

async fn send_body(stream: &mut TcpStream, bytes: &[u8], framing: Framing) -> io::Result<()> {
    match framing {
        Framing::Chunked(size) => {
            for chunk in bytes.chunks(size.max(1)) {
                let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
                framed.extend_from_slice(chunk);
                framed.extend_from_slice(b"\r\n");
                stream.write_all(&framed).await?;
            }
            Ok(())
        }
        _ => stream.write_all(bytes).await,
    }
}
