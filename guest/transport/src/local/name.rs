//! A session's socket, by its name.

use std::fmt;
use std::str::FromStr;

use rustix::net::SocketAddrUnix;

use crate::Error;

/// The variable of the environment that names the session's socket.
pub const VARIABLE: &str = "VGPU_LOCAL";

/// A socket's name: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name(u128);

impl Name {
    /// One that nobody can guess.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes, flags)? {
            16 => Ok(Self(u128::from_ne_bytes(bytes))),
            _ => Err(Error::Protocol("no random bytes")),
        }
    }

    /// The one in this process's environment, where there is one.
    ///
    /// # Errors
    /// The variable holds something else.
    pub fn from_environment() -> Result<Option<Self>, Error> {
        let value = std::env::var_os(VARIABLE);
        let name = value.map(|value| value.to_str().unwrap_or_default().parse());
        name.transpose()
    }

    pub(super) fn address(self) -> Result<SocketAddrUnix, Error> {
        let name = format!("vgpu-{self}");
        Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
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
        let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        value.map(Self).ok_or(Error::Name { variable: VARIABLE })
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
    }
}
