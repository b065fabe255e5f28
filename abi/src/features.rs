//! What a device offers and a driver accepts: bits of FEATURES and ACK ([`crate::bar0`]).
//!
//! A driver writes to ACK those of the offered bits that it knows, and then [`driver::SETTLED`] to DRIVER. An ACK with a bit
//! that is not offered is refused: DRIVER is 0 then.
//!
//! That a region is memory of a program's own takes no bit: to the host it is memory as any.

constants! { CONSTANTS, "VGPU_FEATURE_";
    /// Segments are addresses of guest memory ([`crate::segment`]).
    SEGMENT_ADDRESS: u64 = 1 << 0;
    /// Segments are grant references of Xen's.
    SEGMENT_GRANT: u64 = 1 << 1;
    /// Events come as MSI-X messages.
    MSIX: u64 = 1 << 2;
    /// Channels have event channels of Xen's.
    EVENT_CHANNEL: u64 = 1 << 3;
    /// The engine writes the completion of its work to memory itself.
    TIMELINE: u64 = 1 << 6;
}

/// Values of DRIVER.
pub mod driver {
    constants! { CONSTANTS, "VGPU_DRIVER_";
        /// There is no driver; written, it resets all that the device has of the guest's memory.
        RESET: u32 = 0;
        /// A driver is there: the mailbox is its own from here on.
        PRESENT: u32 = 1;
        /// ACK is final.
        SETTLED: u32 = 2;
        /// Channels may be opened.
        RUN: u32 = 3;
    }
}

/// Values of STATE.
pub mod state {
    constants! { CONSTANTS, "VGPU_STATE_";
        /// No daemon is there to serve channels.
        NO_DAEMON: u32 = 0;
        /// Channels may be opened.
        READY: u32 = 1;
        /// A reset is in work: the host may still have the guest's memory.
        RESETTING: u32 = 2;
        /// The daemon is gone, and all channels with it.
        LOST: u32 = 3;
    }
}

/// Bits of EVENTS.
pub mod event {
    constants! { CONSTANTS, "VGPU_EVENT_";
        /// The mailbox has an answer.
        MAILBOX: u32 = 1 << 0;
        /// STATE or GENERATION has changed.
        STATE: u32 = 1 << 1;
        /// A channel was lost: its worker is gone.
        CHANNEL: u32 = 1 << 2;
    }
}
