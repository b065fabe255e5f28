//! The mailbox: the guide's registers, as a driver uses them to set channels up.
//!
//! The driver writes a command's parameters anywhere in the data region, then Data Offset, Data Length, Request ID, and last
//! Command. Status is 0 while the command is in work; the host copies the parameters at once, and takes no other write to
//! registers and data meanwhile. The answer is a [`Reply`] at the start of the data region, with what belongs to it behind, and
//! Status: [`status::IDLE`] and [`status::DONE`], and where it failed [`status::ERROR`] with a [`code`] in bits 31:16. Completion
//! is also [`crate::features::event::MAILBOX`].
//!
//! Until DRIVER is [`crate::features::driver::PRESENT`] the registers are plain ones.

#![allow(
    missing_debug_implementations,
    reason = "zerocopy's derives make types of fields of a macro"
)]

use crate::bar0::DATA;

constants! { CONSTANTS, "VGPU_COMMAND_";
    /// Gives its parameters back: up to [`PAYLOAD`] bytes of any kind.
    ECHO: u32 = 0x01;
    /// Says what the device is: answers with an [`Info`].
    INFO: u32 = 0x02;
    /// Gives the device its page ([`Start`]); once.
    START: u32 = 0x10;
    /// Closes all channels, and ends the use of the page.
    STOP: u32 = 0x11;
    /// Opens a channel ([`Open`]): answers with its number, a u32. Needs bus mastering.
    CHANNEL_OPEN: u32 = 0x20;
    /// Closes one ([`Channel`]). Its memory is the guest's again once this is done.
    CHANNEL_CLOSE: u32 = 0x21;
    /// Asks whether one ([`Channel`]) is still served: answers with 1, or with 0 where its worker is gone, a u32.
    CHANNEL_STATE: u32 = 0x22;
    /// Adds memory to a channel ([`Add`]): answers with the region's number, a u32.
    REGION_ADD: u32 = 0x30;
    /// Takes it away ([`Region`]). It is the guest's again once this is done.
    REGION_DELETE: u32 = 0x31;
}

/// Bits of Status once a driver is present.
pub mod status {
    constants! { CONSTANTS, "VGPU_STATUS_";
        /// The mailbox takes a command.
        IDLE: u32 = 1 << 0;
        /// The last one is done.
        DONE: u32 = 1 << 1;
        /// It failed: bits 31:16 say how.
        ERROR: u32 = 1 << 2;
        /// Where the code of a failure begins.
        CODE_SHIFT: u32 = 16;
    }
}

/// How a command failed.
pub mod code {
    constants! { CONSTANTS, "VGPU_CODE_";
        /// There is no such command, or the driver did not accept the feature that it needs.
        UNKNOWN: u16 = 1;
        /// Parameters of a wrong size, outside the data region, or that no such command can have.
        PARAMETERS: u16 = 2;
        /// Not in this state of DRIVER or STATE, or without bus mastering.
        NOT_READY: u16 = 3;
        /// There is no such channel or region.
        ABSENT: u16 = 4;
        /// More channels, regions, or memory than the device may have.
        LIMIT: u16 = 5;
        /// The segment directory is malformed, or changed while it was read.
        DIRECTORY: u16 = 6;
        /// A segment lies, or a part of it, outside the guest's memory.
        NOT_MEMORY: u16 = 7;
        /// Two segments are the same memory, here or of another region.
        OVERLAP: u16 = 8;
        /// The region is in too many pieces: use larger pages.
        FRAGMENTED: u16 = 9;
        /// The virtual machine's memory cannot be shared with another process.
        NOT_SHARED: u16 = 10;
        /// The host could not: its daemon refused, or went away meanwhile.
        HOST: u16 = 11;
    }
}

/// Bytes of a reply, and of parameters, that find room behind a [`Reply`] in the data region.
pub const PAYLOAD: usize = (DATA.end - DATA.start) as usize - size_of::<Reply>();

structures! { STRUCTURES;
    /// What every answer begins with, at the start of the data region.
    Reply as "vgpu_reply" {
        /// The command's Request ID.
        request: u32,
        /// Status as the register has it.
        status: u32,
        /// Bytes that follow.
        length: u32,
        /// 0.
        reserved: u32,
    }
    /// The answer to [`INFO`].
    Info as "vgpu_info" {
        /// As the register ABI.
        abi: u32,
        /// As LIMITS.
        limits: u32,
        /// As FEATURES, both halves.
        features: u64,
        /// As PINNED_MAX, in MiB.
        pinned_max: u32,
        /// As STATE.
        state: u32,
        /// As GENERATION.
        generation: u32,
        /// As PEER.
        peer: u32,
    }
    /// Parameters of [`START`].
    Start as "vgpu_start" {
        /// Address of a page for the device's pending bits, aligned to it.
        page: u64,
    }
    /// Parameters of [`CHANNEL_OPEN`]. The memory is region 0 of the channel, its slice.
    Open as "vgpu_channel_open" {
        /// Address of the segment directory ([`crate::segment`]).
        directory: u64,
        /// Bytes of the memory, as the segments add up to.
        length: u64,
        /// On Xen the event channel; else 0.
        port: u32,
        /// 0.
        reserved: u32,
    }
    /// Parameters of [`CHANNEL_CLOSE`].
    Channel as "vgpu_channel" {
        /// Its number.
        channel: u32,
    }
    /// Parameters of [`REGION_ADD`].
    Add as "vgpu_region_add" {
        /// Address of the segment directory.
        directory: u64,
        /// Bytes of the memory, as the segments add up to.
        length: u64,
        /// The channel's number.
        channel: u32,
        /// 0.
        reserved: u32,
    }
    /// Parameters of [`REGION_DELETE`].
    Region as "vgpu_region" {
        /// The channel's number.
        channel: u32,
        /// The region's, not 0.
        region: u32,
    }
}
