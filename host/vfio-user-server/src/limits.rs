//! What a client may ask for. Each limit is announced when a connection is
//! made, as the capability named beside it.

use std::time::Duration;

use crate::wire::{Header, RegionAccess};

/// Bytes that one access to a region may carry: `max_data_xfer_size`.
pub const MAX_DATA: usize = 64 * 1024;

/// File descriptors that one message may carry: `max_msg_fds`. QEMU takes no
/// server that allows more.
pub const MAX_FILES: usize = 16;

/// DMA maps that a client may hold at a time: `max_dma_maps`, and what clients
/// suppose where nothing is said. QEMU takes no server that allows more. Each
/// costs some 60 bytes here, and no descriptor of its own.
pub const MAX_DMA_MAPS: usize = 65_535;

/// Files of memory that all DMA maps of a client may be in. Each costs a
/// descriptor, of which a process has 1024 unless it is allowed more; QEMU has
/// one for each memory backend.
pub const MAX_DMA_FILES: usize = 256;

/// How long a client may take for a message that it has begun, its first one
/// included. QEMU sends each in one piece.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(5);

/// The grain of DMA maps in bytes: `pgsizes`.
pub const PAGE_SIZE: u64 = 4096;

/// Bytes of the largest message.
pub(crate) const MAX_MESSAGE: usize = size_of::<Header>() + size_of::<RegionAccess>() + MAX_DATA;
