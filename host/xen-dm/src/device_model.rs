//! Device-model operations: an ioreq server of a domain.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{
    self, CreateIoreqServer, DestroyIoreqServer, DmOp, DmOpBuffer, DmOpCall, GetIoreqServerInfo,
    IoreqServerRange, MmapBatch, MmapResource, SetIoreqServerState,
};
use crate::guest_memory::GuestPage;
use crate::ioctl::ioctl;
use crate::ioreq::IoreqPage;
use crate::mapping::Page;
use crate::{DomainId, Errno};

const PATH: &str = "/dev/xen/privcmd";

/// The handle by which a process is a device model of one domain.
#[derive(Debug)]
pub struct DeviceModel {
    privcmd: OwnedFd,
    domain: DomainId,
}

/// An ioreq server of the domain: 0 to [`MAX_SERVERS`] - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId(pub u16);

/// How many ioreq servers a domain may have: `MAX_NR_IOREQ_SERVERS` of Xen's
/// `xen/include/xen/sched.h` and, before 4.15, `asm-x86/hvm/domain.h`.
pub const MAX_SERVERS: u16 = 8;

/// What a server gets the accesses of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Range {
    /// The config space of the PCI function at device `slot`, function 0, of
    /// bus 0.
    Pci {
        /// 0 to 31.
        slot: u8,
    },
    /// Guest-physical addresses, the last one included.
    Memory {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

impl DeviceModel {
    /// A handle for the device models of `domain`.
    ///
    /// # Errors
    ///
    /// This is no dom0, or the process may not open `/dev/xen/privcmd`.
    pub fn open(domain: DomainId) -> io::Result<Self> {
        let privcmd = open(PATH, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { privcmd, domain })
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> DomainId {
        self.domain
    }

    /// The same handle for another domain, where it may reach that: one that is
    /// [restricted](Self::restrict) may not.
    #[cfg(feature = "try-restriction")]
    #[must_use]
    pub fn for_domain(self, domain: DomainId) -> Self {
        Self { domain, ..self }
    }

    /// Gives up, for good, all that this handle can do to other domains
    /// (`IOCTL_PRIVCMD_RESTRICT`).
    ///
    /// # Errors
    ///
    /// `EINVAL` where it is restricted to another domain, `ENOTTY` where the
    /// kernel is older than 4.11.
    pub fn restrict(&self) -> Result<(), Errno> {
        let mut domain = self.domain.0;
        // SAFETY: the request takes a domid_t, which is 16 bits.
        unsafe { ioctl(&self.privcmd, abi::privcmd::RESTRICT, &mut domain) }?;
        Ok(())
    }

    /// Makes an ioreq server (`XEN_DMOP_create_ioreq_server`), without buffered requests. It has no requests
    /// until [`set_enabled`](Self::set_enabled). Xen pauses the domain for it.
    /// Its id is the lowest that is free.
    ///
    /// # Errors
    ///
    /// `ENOSPC` where the domain has [`MAX_SERVERS`] already, `ENOMEM` where
    /// Xen has no memory for it; `ESRCH` where there is no such domain.
    pub fn create_server(&self) -> Result<ServerId, Errno> {
        let create = CreateIoreqServer {
            handle_bufioreq: 0,
            pad: [0; 3],
            id: 0,
        };
        let done = self.dm_op(abi::op::CREATE_IOREQ_SERVER, &create)?;
        let (create, _) = CreateIoreqServer::read_from_prefix(&done).map_err(|_| Errno::INVAL)?;
        Ok(ServerId(create.id))
    }

    /// Whether a server has buffered requests
    /// (`XEN_DMOP_get_ioreq_server_info`). Nothing is changed by that.
    ///
    /// # Errors
    ///
    /// `ENOENT` where there is no such server, `ESRCH` where there is no such
    /// domain, `EPERM` where the server is one of another domain than this.
    pub fn is_buffered(&self, server: ServerId) -> Result<bool, Errno> {
        let info = GetIoreqServerInfo {
            id: server.0,
            flags: abi::NO_GFNS,
            bufioreq_port: 0,
            ioreq_gfn: 0,
            bufioreq_gfn: 0,
        };
        let done = self.dm_op(abi::op::GET_IOREQ_SERVER_INFO, &info)?;
        let info = GetIoreqServerInfo::read_from_bytes(&done).map_err(|_| Errno::INVAL)?;
        Ok(info.bufioreq_port != 0)
    }

    /// Has a server get accesses to this range
    /// (`XEN_DMOP_map_io_range_to_ioreq_server`), or no longer
    /// (`XEN_DMOP_unmap_io_range_from_ioreq_server`).
    ///
    /// # Errors
    ///
    /// `EEXIST` where it overlaps another range of the same server, `ENOSPC`
    /// where the server has 256, `EINVAL` where it ends before it begins;
    /// `ENOENT` where there is no such server, or no such range to give back,
    /// `EPERM` where the server is one of another domain than this.
    pub fn map(&self, server: ServerId, range: Range, mapped: bool) -> Result<(), Errno> {
        let op = if mapped {
            abi::op::MAP_IO_RANGE
        } else {
            abi::op::UNMAP_IO_RANGE
        };
        let (kind, start, end) = match range {
            Range::Pci { slot } => {
                let function = u64::from(slot) << 3;
                (abi::range::PCI, function, function)
            }
            Range::Memory { first, last } => (abi::range::MEMORY, first, last),
        };
        let range = IoreqServerRange {
            id: server.0,
            pad: 0,
            kind,
            start,
            end,
        };
        self.dm_op(op, &range).map(drop)
    }

    /// Has Xen send requests to a server, or no longer
    /// (`XEN_DMOP_set_ioreq_server_state`).
    ///
    /// # Errors
    ///
    /// `ENOENT` where there is no such server, `ESRCH` where there is no such
    /// domain, `EPERM` where the server is one of another domain than this.
    pub fn set_enabled(&self, server: ServerId, enabled: bool) -> Result<(), Errno> {
        let state = SetIoreqServerState {
            id: server.0,
            enabled: enabled.into(),
            pad: 0,
        };
        self.dm_op(abi::op::SET_IOREQ_SERVER_STATE, &state)
            .map(drop)
    }

    /// Ends a server with its ranges (`XEN_DMOP_destroy_ioreq_server`). A vCPU
    /// that waits for it goes on waiting, unless its request is completed
    /// before.
    ///
    /// # Errors
    ///
    /// As for [`set_enabled`](Self::set_enabled).
    pub fn destroy_server(&self, server: ServerId) -> Result<(), Errno> {
        let destroy = DestroyIoreqServer {
            id: server.0,
            pad: 0,
        };
        self.dm_op(abi::op::DESTROY_IOREQ_SERVER, &destroy)
            .map(drop)
    }

    /// The page with a server's requests (`IOCTL_PRIVCMD_MMAP_RESOURCE`, by
    /// which Linux makes an `XENMEM_acquire_resource`).
    ///
    /// # Errors
    ///
    /// `EINVAL` or `ENOENT` where there is no such server, `ESRCH` where there
    /// is no such domain, `EPERM` where the server is one of another domain
    /// than this, `ENOTTY` where the kernel is older than 4.18.
    pub fn map_requests(&self, server: ServerId) -> Result<IoreqPage, Errno> {
        let page = Page::reserve(&self.privcmd)?;
        let mut resource = MmapResource {
            domain: self.domain.0,
            kind: abi::RESOURCE_IOREQ_SERVER,
            id: server.0.into(),
            first: abi::FRAME_IOREQ,
            count: 1,
            address: page.address(),
        };
        // SAFETY: the structure is the request's own; its address is a page
        // that was reserved for this.
        unsafe { ioctl(&self.privcmd, abi::privcmd::MMAP_RESOURCE, &mut resource) }?;
        Ok(IoreqPage::new(page))
    }

    /// The guest's page with this frame number (`IOCTL_PRIVCMD_MMAPBATCH_V2`).
    /// The guest may change it at any time.
    ///
    /// # Errors
    ///
    /// `EINVAL` where the guest has no memory there, `ENOENT` where that is
    /// paged out; `EPERM` where the handle is restricted to another domain.
    pub fn map_guest_page(&self, frame: u64) -> Result<GuestPage, Errno> {
        let page = Page::reserve(&self.privcmd)?;
        let mut error = 0;
        let mut batch = MmapBatch {
            count: 1,
            domain: self.domain.0,
            address: page.address(),
            frames: &raw const frame,
            errors: &raw mut error,
        };
        // SAFETY: the structure is the request's own; its address is a page
        // that was reserved for this, and both arrays have the one element.
        unsafe { ioctl(&self.privcmd, abi::privcmd::MMAP_BATCH_V2, &mut batch) }?;
        match error {
            0 => Ok(GuestPage::new(page)),
            errno => Err(Errno::from_raw_os_error(errno.abs())),
        }
    }

    /// Does an operation, and returns its structure as Xen left it.
    fn dm_op(&self, op: u32, arguments: &(impl IntoBytes + Immutable)) -> Result<[u8; 24], Errno> {
        let mut operation = DmOp {
            op,
            pad: 0,
            arguments: [0; 24],
        };
        arguments
            .write_to_prefix(&mut operation.arguments)
            .map_err(|_| Errno::INVAL)?;
        let buffer = DmOpBuffer {
            address: (&raw mut operation).cast(),
            size: size_of::<DmOp>(),
        };
        let mut call = DmOpCall {
            domain: self.domain.0,
            count: 1,
            buffers: &raw const buffer,
        };
        // SAFETY: the structure is the request's own, with one buffer, which
        // is as large as it says and lives throughout the call.
        unsafe { ioctl(&self.privcmd, abi::privcmd::DM_OP, &mut call) }?;
        Ok(operation.arguments)
    }
}
