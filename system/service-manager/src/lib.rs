//! The service manager, systemd or one that speaks as it does, where it has started this process (`sd_notify(3)`).
//!
//! The connection is made beforehand: a process in a sandbox can make no socket any more.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The variable of the environment that says where it listens.
const PLACE: &str = "NOTIFY_SOCKET";

/// How the service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Ready,
    /// It is about to end.
    Stopping,
}

/// Who is told how the service does, if anybody wants to know.
#[derive(Debug)]
pub struct ServiceManager(Option<UnixDatagram>);

impl ServiceManager {
    /// Connects to who has started this process, if that wants to know.
    #[must_use]
    pub fn connect() -> Self {
        let place = env::var_os(PLACE);
        Self(place.and_then(|place| connect(&place).ok()))
    }

    /// Says it, where somebody hears it.
    pub fn tell(&self, state: State) {
        let said: &[u8] = match state {
            State::Ready => b"READY=1",
            State::Stopping => b"STOPPING=1",
        };
        if let Some(socket) = &self.0 {
            let _ = socket.send(said);
        }
    }
}

/// A socket to a path or, after an `@`, to an abstract name.
fn connect(place: &OsStr) -> io::Result<UnixDatagram> {
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(listener: &UnixDatagram) -> String {
        let mut said = [0; 64];
        let length = listener.recv(&mut said).unwrap();
        String::from_utf8(said[..length].to_vec()).unwrap()
    }

    #[test]
    fn it_is_told_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("vgpu-service-manager-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let listeners = [
            (
                path.clone().into_os_string(),
                UnixDatagram::bind(&path).unwrap(),
            ),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&abstract_name).unwrap(),
            ),
        ];
        for (place, listener) in listeners {
            let manager = ServiceManager(Some(connect(&place).unwrap()));
            manager.tell(State::Ready);
            manager.tell(State::Stopping);
            assert_eq!(hear(&listener), "READY=1");
            assert_eq!(hear(&listener), "STOPPING=1");
            // It may be gone.
            drop(listener);
            manager.tell(State::Stopping);
        }
    }

    #[test]
    fn nobody_need_listen() {
        ServiceManager(None).tell(State::Ready);
        assert!(connect(OsStr::new("/no/such/place")).is_err());
        assert!(connect(OsStr::new("")).is_err());
    }
}
