//! nginx on loopback, serving a folder: a real server that costs little of the processors it shares.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::Result;

/// A running nginx; ends when dropped.
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Serves `folder`; nginx's own files go to `work`.
    pub(super) fn start(folder: &Path, work: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = work.join("nginx.conf");
        let (folder, work) = (folder.canonicalize()?, work.canonicalize()?);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};", work.display()))
            .concat();
        // Started by root, its worker would be somebody who can't read the folder.
        let user = if fs::metadata("/proc/self")?.uid() == 0 {
            "user root;"
        } else {
            ""
        };
        fs::write(
            &configuration,
            format!(
                "{user} daemon off; worker_processes 1; pid {work}/pid; error_log {work}/error.log;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{ access_log off; sendfile on; tcp_nopush on; default_type text/csv; {temporary}\n\
                 keepalive_requests 1000000; open_file_cache max=20000;\n\
                 server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n",
                work = work.display(),
                folder = folder.display(),
            ),
        )?;
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .arg("-p")
            .arg(&work)
            .arg("-e")
            .arg(work.join("error.log"))
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx (see .ci/install-servers): {error}"))?;
        let mut server = Self { process, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("nginx has ended: {status}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Where `path` is.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends its workers on SIGTERM, not on SIGKILL.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}
