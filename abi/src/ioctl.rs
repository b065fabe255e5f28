//! What a guest's driver is asked by programs, through `/dev/vgpuN`.
//!
//! An open file is a session, once [`SESSION`] has given it a channel: a slice and regions of the driver's memory, or the
//! program's, that the host has too. A region is mapped at its number, shifted by [`REGION_SHIFT`]; the slice is region 0.
//! The file closed, the channel is, and so it is when the process ends that opened it.
//!
//! | call | parameter | fails with |
//! |---|---|---|
//! | [`INFO`] | [`Info`] | |
//! | [`SESSION`] | [`Session`] | `EBUSY`: it has one; `ENOTCONN`: the host has no daemon; `EPERM`, `ENOSPC`: more than the device may have; `EIO`: the host could not |
//! | [`REGION_ADD`] | [`Region`] | as above; for memory of a program's own, `EOPNOTSUPP`: the driver shares none; `ENOMEM`: more than it may lock (`RLIMIT_MEMLOCK`), or in too many pieces; `EEXIST`: the device has some of it; `EFAULT`: it is not there, or only read |
//! | [`REGION_DELETE`] | [`Region`], the number alone | `ENOENT` |
//! | [`KICK`] | | |
//! | [`WAIT`] | [`Wait`] | `ETIMEDOUT`, `EINTR` |
//!
//! All but [`INFO`] fail with `EPIPE` where the channel is lost, and with `ENODEV` where the device is gone.
//!
//! poll(2) says that there is something to read after an interrupt that [`WAIT`] has not told of yet, and an error where the
//! channel is lost.

#![allow(
    missing_debug_implementations,
    reason = "zerocopy's derives make types of fields of a macro"
)]

constants! { CONSTANTS, "VGPU_IOCTL_";
    /// The type of all calls (Linux's `Documentation/userspace-api/ioctl/ioctl-number.rst`).
    GROUP: u8 = 0xbc;
    /// The region's number is the offset in the file, shifted by so many bits.
    REGION_SHIFT: u32 = 32;
    /// A wait without an end.
    FOREVER: u64 = u64::MAX;
}

/// A call of the driver's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The kernel's macro that makes the number.
    pub(crate) kind: &'static str,
    pub(crate) number: u8,
    pub(crate) structure: Option<&'static str>,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $kind:ident $(($structure:ident))?;)*) => {
        $($(#[$doc])* pub const $name: u8 = $number;)*

        pub(crate) const CALLS: &[Call] = &[
            $(Call {
                name: concat!("VGPU_IOCTL_", stringify!($name)),
                kind: stringify!($kind),
                number: $number,
                structure: calls!(@structure $($structure)?),
            },)*
        ];
    };
    (@structure) => { None };
    (@structure $structure:ident) => { Some(stringify!($structure)) };
}

calls! {
    /// What the device is, and how its host.
    INFO = 0, _IOR (vgpu_ioctl_info);
    /// Opens the file's channel.
    SESSION = 1, _IOWR (vgpu_ioctl_session);
    /// Shares more memory.
    REGION_ADD = 2, _IOWR (vgpu_ioctl_region);
    /// Ends that.
    REGION_DELETE = 3, _IOW (vgpu_ioctl_region);
    /// Wakes the host.
    KICK = 4, _IO;
    /// Waits for an interrupt.
    WAIT = 5, _IOWR (vgpu_ioctl_wait);
}

structures! { STRUCTURES;
    /// What the device says, as its registers of these names have it.
    Info as "vgpu_ioctl_info" {
        /// What is offered and used: both know it.
        features: u64,
        /// Major and minor.
        abi: u32,
        /// Channels and regions.
        limits: u32,
        /// In MiB.
        pinned_max: u32,
        /// How far the host is.
        state: u32,
        /// Count of losses and resets.
        generation: u32,
        /// 0.
        reserved: u32,
    }
    /// A channel.
    Session as "vgpu_ioctl_session" {
        /// In: bytes of the slice, a multiple of 4096.
        size: u64,
        /// Out: its number.
        channel: u32,
        /// 0.
        reserved: u32,
    }
    /// A region.
    Region as "vgpu_ioctl_region" {
        /// In: its bytes, a multiple of 4096.
        size: u64,
        /// In: 0 for memory that the driver makes; or where memory of the program begins, at a page.
        address: u64,
        /// Out of [`REGION_ADD`], in for [`REGION_DELETE`]: its number.
        region: u32,
        /// 0.
        reserved: u32,
    }
    /// A wait.
    Wait as "vgpu_ioctl_wait" {
        /// In: how many interrupts are known; it ends where there were others. Out: how many there were.
        interrupts: u64,
        /// In: nanoseconds, or [`FOREVER`].
        timeout: u64,
    }
}
