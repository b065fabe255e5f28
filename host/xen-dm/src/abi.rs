//! Structures and numbers, as Xen and Linux define them for x86-64. Each size
//! and offset is asserted.
//!
//! Sources: Linux `include/uapi/xen/privcmd.h`, `evtchn.h`; Xen
//! `xen/include/public/hvm/dm_op.h`, `hvm/ioreq.h`, `memory.h`.

use std::ffi::c_void;
use std::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ioctl numbers of `/dev/xen/privcmd`.
pub mod privcmd {
    /// Maps pages of another domain: [`MmapBatch`](super::MmapBatch).
    pub const MMAP_BATCH_V2: u32 = 0x0020_5004;
    /// A device-model operation: [`DmOpCall`](super::DmOpCall).
    pub const DM_OP: u32 = 0x0010_5005;
    /// Restricts the file to one domain, for good: a domain id.
    pub const RESTRICT: u32 = 0x0002_5006;
    /// Maps a resource of a domain: [`MmapResource`](super::MmapResource).
    pub const MMAP_RESOURCE: u32 = 0x0020_5007;
}

/// Ioctl numbers of `/dev/xen/evtchn`.
pub mod evtchn {
    /// Binds to a port of a domain: [`BindInterdomain`](super::BindInterdomain).
    pub const BIND_INTERDOMAIN: u32 = 0x0008_4501;
    /// Sends an event: a port.
    pub const NOTIFY: u32 = 0x0004_4504;
    /// Restricts the file to one domain, for good: a domain id.
    pub const RESTRICT_DOMID: u32 = 0x0002_4506;
}

/// `struct privcmd_dm_op`.
#[derive(Debug)]
#[repr(C)]
pub struct DmOpCall {
    /// The domain whose device model this is.
    pub domain: u16,
    /// Number of buffers.
    pub count: u16,
    /// The buffers.
    pub buffers: *const DmOpBuffer,
}

/// `struct privcmd_dm_op_buf`.
#[derive(Debug)]
#[repr(C)]
pub struct DmOpBuffer {
    /// First byte.
    pub address: *mut c_void,
    /// Size in bytes.
    pub size: usize,
}

/// `struct privcmd_mmap_resource`.
#[derive(Debug)]
#[repr(C)]
pub struct MmapResource {
    /// The domain.
    pub domain: u16,
    /// [`RESOURCE_IOREQ_SERVER`].
    pub kind: u32,
    /// Which one of them.
    pub id: u32,
    /// The first frame.
    pub first: u32,
    /// Number of frames.
    pub count: u64,
    /// Where, in an mmap of the same file.
    pub address: u64,
}

/// `struct privcmd_mmapbatch_v2`.
#[derive(Debug)]
#[repr(C)]
pub struct MmapBatch {
    /// Number of pages.
    pub count: u32,
    /// The domain.
    pub domain: u16,
    /// Where, in an mmap of the same file.
    pub address: u64,
    /// The guest's frame numbers.
    pub frames: *const u64,
    /// An errno for each, or 0.
    pub errors: *mut i32,
}

/// `struct ioctl_evtchn_bind_interdomain`.
#[derive(Debug)]
#[repr(C)]
pub struct BindInterdomain {
    /// The other side.
    pub domain: u32,
    /// Its port.
    pub port: u32,
}

/// `XENMEM_resource_ioreq_server`.
pub const RESOURCE_IOREQ_SERVER: u32 = 0;
/// `XENMEM_resource_ioreq_server_frame_ioreq(0)`: the page of requests that a
/// vCPU waits for.
pub const FRAME_IOREQ: u32 = 1;

/// `struct xen_dm_op`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct DmOp {
    /// One of [`op`].
    pub op: u32,
    /// Must be 0.
    pub pad: u32,
    /// The operation's structure, at the beginning.
    pub arguments: [u8; 24],
}

/// Device-model operations.
pub mod op {
    /// `XEN_DMOP_create_ioreq_server`.
    pub const CREATE_IOREQ_SERVER: u32 = 1;
    /// `XEN_DMOP_get_ioreq_server_info`.
    pub const GET_IOREQ_SERVER_INFO: u32 = 2;
    /// `XEN_DMOP_map_io_range_to_ioreq_server`.
    pub const MAP_IO_RANGE: u32 = 3;
    /// `XEN_DMOP_unmap_io_range_from_ioreq_server`.
    pub const UNMAP_IO_RANGE: u32 = 4;
    /// `XEN_DMOP_set_ioreq_server_state`.
    pub const SET_IOREQ_SERVER_STATE: u32 = 5;
    /// `XEN_DMOP_destroy_ioreq_server`.
    pub const DESTROY_IOREQ_SERVER: u32 = 6;
}

/// `struct xen_dm_op_create_ioreq_server`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateIoreqServer {
    /// 0: no buffered requests (`HVM_IOREQSRV_BUFIOREQ_OFF`).
    pub handle_bufioreq: u8,
    /// Must be 0.
    pub pad: [u8; 3],
    /// The new server's id, filled in by Xen.
    pub id: u16,
}

/// `struct xen_dm_op_get_ioreq_server_info`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GetIoreqServerInfo {
    /// The server.
    pub id: u16,
    /// [`NO_GFNS`].
    pub flags: u16,
    /// The event channel of its buffered requests, filled in by Xen where it
    /// has any.
    pub bufioreq_port: u32,
    /// Not filled in with [`NO_GFNS`].
    pub ioreq_gfn: u64,
    /// Not filled in with [`NO_GFNS`].
    pub bufioreq_gfn: u64,
}

/// `XEN_DMOP_no_gfns`: its pages are not put into guest memory by the question.
pub const NO_GFNS: u16 = 1;

/// `struct xen_dm_op_ioreq_server_range`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IoreqServerRange {
    /// The server.
    pub id: u16,
    /// Must be 0.
    pub pad: u16,
    /// One of [`range`].
    pub kind: u32,
    /// The first address.
    pub start: u64,
    /// The last address.
    pub end: u64,
}

/// Kinds of ranges.
pub mod range {
    /// `XEN_DMOP_IO_RANGE_MEMORY`: guest-physical addresses.
    pub const MEMORY: u32 = 1;
    /// `XEN_DMOP_IO_RANGE_PCI`: segment << 16 | bus << 8 | device << 3 |
    /// function.
    pub const PCI: u32 = 2;
}

/// `struct xen_dm_op_set_ioreq_server_state`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SetIoreqServerState {
    /// The server.
    pub id: u16,
    /// 1 to have requests, 0 for none.
    pub enabled: u8,
    /// Must be 0.
    pub pad: u8,
}

/// `struct xen_dm_op_destroy_ioreq_server`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DestroyIoreqServer {
    /// The server.
    pub id: u16,
    /// Must be 0.
    pub pad: u16,
}

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

macro_rules! layout {
    ($($name:ident, $size:literal { $($field:ident: $offset:literal),* $(,)? })*) => { $(
        const _: () = assert!(size_of::<$name>() == $size);
        $( const _: () = assert!(offset_of!($name, $field) == $offset); )*
    )* };
}

layout! {
    DmOpCall, 16 { domain: 0, count: 2, buffers: 8 }
    DmOpBuffer, 16 { address: 0, size: 8 }
    MmapResource, 32 { domain: 0, kind: 4, id: 8, first: 12, count: 16, address: 24 }
    MmapBatch, 32 { count: 0, domain: 4, address: 8, frames: 16, errors: 24 }
    BindInterdomain, 8 { domain: 0, port: 4 }
    DmOp, 32 { op: 0, pad: 4, arguments: 8 }
    CreateIoreqServer, 6 { handle_bufioreq: 0, pad: 1, id: 4 }
    GetIoreqServerInfo, 24 { id: 0, flags: 2, bufioreq_port: 4, ioreq_gfn: 8, bufioreq_gfn: 16 }
    IoreqServerRange, 24 { id: 0, pad: 2, kind: 4, start: 8, end: 16 }
    SetIoreqServerState, 4 { id: 0, enabled: 2, pad: 3 }
    DestroyIoreqServer, 4 { id: 0, pad: 2 }
}
