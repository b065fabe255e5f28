//! A listening UNIX socket that takes its path safely and gives it back, and
//! a client, and a reader of lines, that never wait without end.
//!
//! [`Listener::bind`] gives the socket's file its exact mode before anybody
//! can connect, cleans up what a dead server left behind, and never takes the
//! path of a live one, also when several servers start at once. The file goes
//! away with the [`Listener`].
#![forbid(unsafe_code)]

mod error;
mod file_id;
mod line_error;
mod line_reader;
mod line_stream;
mod listener;
mod lock;
mod place;
mod socket_file;

pub use error::BindError;
pub use line_error::LineError;
pub use line_reader::LineReader;
pub use line_stream::LineStream;
pub use listener::{Listener, PacketListener};
pub use socket_file::SocketFile;
