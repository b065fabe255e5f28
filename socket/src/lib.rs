//! A listening UNIX socket that takes its path safely and gives it back, and
//! a client that never waits without end.
//!
//! [`Listener::bind`] gives the socket's file its exact mode before anybody
//! can connect, cleans up what a dead server left behind, and never takes the
//! path of a live one, also when several servers start at once. The file goes
//! away with the [`Listener`].
#![forbid(unsafe_code)]

mod error;
mod line_stream;
mod listener;
mod lock;
mod place;

pub use error::BindError;
pub use line_stream::{LineError, LineStream};
pub use listener::Listener;
