//! The local attachment: no virtual machine between the program and the host.
//!
//! The daemon listens on an abstract UNIX socket. Its name has 128 random bits
//! and stands in the program's environment; or, for a daemon that stands by for
//! all programs of its user, it is that user's number. Both ends check that the
//! other is the same user. The worker makes and seals the memory, and hands it over:
//! when both processes are gone, so is everything.

mod guest;
#[cfg(feature = "host")]
mod host;
mod message;
mod name;

pub use guest::Local;
#[cfg(feature = "host")]
pub use host::{Listener, Offer, Request, Session};
pub use name::{NONE, Name, VARIABLE};
