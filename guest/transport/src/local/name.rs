//! A daemon's socket, by its name.

use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::Error;

/// The variable of the environment that names the daemon's socket.
pub const VARIABLE: &str = "VGPU_LOCAL";
/// Its value where a process is to find no daemon at all.
pub const NONE: &str = "none";

/// How long a program waits for a place with its user's daemon. Whoever listens there in its stead
/// and takes nobody in would else hold all programs up.
const PLACE: Duration = Duration::from_secs(5);

/// The name of a daemon's socket, in the abstract namespace: it goes with the
/// process that listens, however that ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 128 random bits, written as 32 hexadecimal digits: of a daemon whose
    /// programs have it in their environment.
    Random(u128),
    /// The number of a user: of the standing daemon of that user. Anybody may
    /// listen under it, so who connects looks at who does.
    User(u32),
}

impl Name {
    /// One that nobody can guess.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes, flags)? {
            16 => Ok(Self(Kind::Random(u128::from_ne_bytes(bytes)))),
            _ => Err(Error::Protocol("no random bytes")),
        }
    }

    /// The one of this user's standing daemon, which programs find by themselves.
    #[must_use]
    pub fn of_user() -> Self {
        Self(Kind::User(rustix::process::geteuid().as_raw()))
    }

    /// The one in this process's environment, or that of its user's standing
    /// daemon.
    ///
    /// # Errors
    /// The variable holds something else, or [`NONE`].
    pub fn find() -> Result<Self, Error> {
        Ok(Self::from_environment()?.unwrap_or_else(Self::of_user))
    }

    /// The one in this process's environment, where there is one.
    ///
    /// # Errors
    /// The variable holds something else, or [`NONE`].
    pub fn from_environment() -> Result<Option<Self>, Error> {
        let value = std::env::var_os(VARIABLE);
        let name = value.map(|value| value.to_str().unwrap_or_default().parse());
        name.transpose()
    }

    pub(super) fn address(self) -> Result<SocketAddrUnix, Error> {
        let name = format!("vgpu-{self}");
        Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?)
    }

    /// A socket that is connected to who listens there.
    pub(super) fn connect(self) -> Result<OwnedFd, Error> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        // A connection waits in its place, and a sender's limit is that of the place too.
        let limit = |most| set_socket_timeout(&socket, Timeout::Send, most);
        match self.0 {
            Kind::Random(_) => {}
            Kind::User(_) => limit(Some(PLACE))?,
        }
        connect(&socket, &self.address()?).map_err(|cause| self.no_daemon(cause))?;
        limit(None)?;
        Ok(socket)
    }

    /// Nobody listens there, or takes anybody in.
    fn no_daemon(self, cause: Errno) -> Error {
        match self.0 {
            Kind::Random(_) => Error::NoDaemon {
                name: format!("${VARIABLE}"),
                cause,
            },
            Kind::User(_) if cause == Errno::CONNREFUSED => Error::NotSet { variable: VARIABLE },
            Kind::User(_) => Error::NoDaemon {
                name: format!("@vgpu-{self}"),
                cause,
            },
        }
    }

    /// Another user listens there.
    pub(super) fn stranger(self, peer: &Stranger) -> Error {
        let Stranger { user, process, own } = *peer;
        match self.0 {
            Kind::Random(_) => Error::Stranger { peer: user, own },
            Kind::User(_) => Error::Taken {
                name: format!("@vgpu-{self}"),
                user,
                process,
            },
        }
    }
}

/// Who is at the other end and should not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stranger {
    pub(super) user: u32,
    pub(super) process: i32,
    pub(super) own: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Random(bits) => write!(f, "{bits:032x}"),
            Kind::User(user) => write!(f, "user-{user}"),
        }
    }
}

/// Whoever has the name can open sessions: it goes into no log.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == NONE {
            return Err(Error::None { variable: VARIABLE });
        }
        let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        let kind = value.map(Kind::Random);
        kind.map(Self).ok_or(Error::Name { variable: VARIABLE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_32_digits() {
        let name = Name::random().unwrap();
        assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
        assert_ne!(name, Name::random().unwrap());
        for wrong in ["", "12", &"g".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
        let none = NONE.parse::<Name>();
        assert!(matches!(none, Err(Error::None { .. })), "{none:?}");
    }

    /// A program's environment cannot send it to another user's daemon.
    #[test]
    fn a_users_name_is_no_value_of_the_variable() {
        let own = Name::of_user();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(own.to_string(), format!("user-{user}"));
        assert!(own.to_string().parse::<Name>().is_err());
    }
}
