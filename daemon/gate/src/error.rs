//! Why there is no gate, or no lease.

/// The daemon is gone, or nothing is as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket.
    #[error("no word from the daemon: {0}")]
    Packet(#[from] vgpu_packet::Error),
    /// The memory that comes with the first message.
    #[error(transparent)]
    Memory(#[from] vgpu_window::Error),
    /// What the other end sent.
    #[error("the daemon said something else than {0}")]
    Protocol(&'static str),
}
