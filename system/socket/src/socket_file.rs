//! A socket's file, as who removes it in its server's place knows it.

use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::BindError;
use crate::file_id::FileId;
use crate::place::Place;

/// The file of a socket that a server listens on, for a process that outlives
/// the server and removes the file then.
#[derive(Debug)]
pub struct SocketFile {
    place: Place,
    file: FileId,
    /// The number of a file that is removed may soon be another's.
    changed: Time,
}

/// When a file was last changed, in seconds and nanoseconds.
type Time = (i64, u64);

impl SocketFile {
    /// The socket that is at `path` now.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn of(path: &Path) -> Result<Self, BindError> {
        let place = Place::of(path)?;
        match place.stat_with_time() {
            Ok((file, FileType::Socket, changed)) => Ok(Self {
                place,
                file,
                changed,
            }),
            Ok(_) | Err(Errno::NOENT) => Err(BindError::NotASocket {
                path: path.to_owned(),
            }),
            Err(errno) => Err(BindError::System {
                action: "look at",
                path: path.to_owned(),
                source: errno.into(),
            }),
        }
    }

    /// Removes it, unless another one has its place: its server is no more.
    pub fn remove(self) {
        // No server takes the place in between. Where that cannot be had, the
        // file is left for one that does.
        let Ok(_lock) = self.place.lock() else {
            return;
        };
        let now = self.place.stat_with_time();
        if now.is_ok_and(|(file, _, changed)| (file, changed) == (self.file, self.changed)) {
            let _ = self.place.remove();
        }
    }
}
