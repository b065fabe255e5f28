//! systemd, where it has started this process (`sd_notify(3)`).

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who is told how the service does, if anybody wants to know.
#[derive(Debug)]
pub(crate) struct ServiceManager(Option<UnixDatagram>);

impl ServiceManager {
    /// Connects, while sockets can still be made.
    pub(crate) fn connect() -> Self {
        let connect = || {
            let place = env::var_os("NOTIFY_SOCKET")?;
            let socket = UnixDatagram::unbound().ok()?;
            let connected = match place.as_bytes().strip_prefix(b"@") {
                Some(name) => {
                    let address = SocketAddr::from_abstract_name(name).ok()?;
                    socket.connect_addr(&address)
                }
                None => socket.connect(place),
            };
            connected.ok().map(|()| socket)
        };
        Self(connect())
    }

    /// Says it, where somebody hears it.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(state.as_bytes());
        }
    }
}
