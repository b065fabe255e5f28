//! What a client may ask for. Each limit is announced when a connection is
//! made, as the capability named beside it.

use crate::wire::{Header, RegionAccess};

/// Bytes that one access to a region may carry: `max_data_xfer_size`.
pub const MAX_DATA: usize = 64 * 1024;

/// File descriptors that one message may carry: `max_msg_fds`. QEMU takes no
/// server that allows more.
pub const MAX_FILES: usize = 16;

/// DMA maps that a client may hold at a time: `max_dma_maps`. Each may hold a
/// file descriptor, of which a process has 1024 unless it is allowed more.
pub const MAX_DMA_MAPS: usize = 512;

/// The grain of DMA maps in bytes: `pgsizes`.
pub const PAGE_SIZE: u64 = 4096;

/// Bytes of the largest message.
pub(crate) const MAX_MESSAGE: usize = size_of::<Header>() + size_of::<RegionAccess>() + MAX_DATA;
