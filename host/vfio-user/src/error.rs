//! Why the device cannot be served.

use thiserror::Error;
use vgpu_socket::BindError;

/// Why the server did not start, or could not go on. The text is one line of
/// cause; [`Error::mend`] is one line of what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no socket to listen on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The sandbox is not in force.
    #[error("the server is not in its sandbox: {0}")]
    Sandbox(#[from] vgpu_sandbox::Error),
    /// Clients hang as they end, and leave no room for others.
    #[error(
        "file descriptors that clients have sent cannot be closed, and leave no room for others"
    )]
    Stuck,
    /// The system refused what the server needs.
    #[error("cannot {action}: {source}")]
    System {
        /// What it was, as in "cannot …".
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// What to do about it, in one line.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Bind(error) => error.mend(),
            Self::Sandbox(_) => "run it on Linux 4.14 or later that has /proc and seccomp",
            Self::Stuck => {
                "start this server again, as its unit does; see that only the VM's QEMU can connect"
            }
            Self::System { .. } => {
                "see that the limits on processes, open files and memory leave room (ulimit -a)"
            }
        }
    }
}

/// Says what could not be done.
pub(crate) fn cannot<E: Into<std::io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System {
        action,
        source: source.into(),
    }
}
