//! The registers of BAR0, as rows of tables.

use vgpu_abi::{bar0, features};
use vgpu_pci::AreaKind;

/// Registers in the order of their offsets: name in the code, offset, value at power-on, name for people, what a guest's
/// write does. All lists of them come from here.
macro_rules! registers {
    ($(#[$doc:meta])* $visibility:vis $type:ident {
        $($name:ident: $offset:ident = $initial:expr, $title:literal, $kind:ident;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $type {
            $(#[doc = concat!("[`bar0::", stringify!($offset), "`]")] $name,)*
        }

        impl $type {
            /// All registers in the order of their offsets.
            pub const ALL: [Self; [$(bar0::$offset),*].len()] = [$(Self::$name),*];

            /// Byte offset in BAR0.
            #[must_use]
            pub const fn offset(self) -> u64 {
                match self { $(Self::$name => bar0::$offset,)* }
            }

            /// Its name in text, such as `Data Length`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            pub(crate) const fn initial(self) -> u32 {
                match self { $(Self::$name => $initial,)* }
            }

            pub(crate) const fn kind(self) -> AreaKind {
                match self { $(Self::$name => AreaKind::$kind,)* }
            }
        }
    };
}

registers! {
    /// A register of BAR0 that every device has, as the host side names it.
    pub Register {
        Command: COMMAND = 0, "Command", Storage;
        Status: STATUS = 0, "Status", ReadOnly;
        DataOffset: DATA_OFFSET = 0, "Data Offset", Storage;
        DataLength: DATA_LENGTH = 0, "Data Length", Storage;
        RequestId: REQUEST_ID = 0, "Request ID", Storage;
    }
}

registers! {
    /// A register of the feature block.
    pub FeatureRegister {
        Magic: MAGIC = bar0::MAGIC_VALUE, "Magic", ReadOnly;
        Abi: ABI = bar0::ABI_VERSION, "ABI", ReadOnly;
        Features: FEATURES = 0, "Features", ReadOnly;
        FeaturesHigh: FEATURES_HIGH = 0, "Features High", ReadOnly;
        Ack: ACK = 0, "Acknowledged", Control;
        AckHigh: ACK_HIGH = 0, "Acknowledged High", Control;
        Driver: DRIVER = features::driver::RESET, "Driver", Control;
        State: STATE = features::state::NO_DAEMON, "State", ReadOnly;
        Generation: GENERATION = 0, "Generation", ReadOnly;
        Limits: LIMITS = 0, "Limits", ReadOnly;
        PinnedMax: PINNED_MAX = 0, "Pinned Max", ReadOnly;
        Peer: PEER = bar0::NO_PEER, "Peer", ReadOnly;
        Events: EVENTS = 0, "Events", ReadOnly;
        EventsAck: EVENTS_ACK = 0, "Events Ack", Control;
    }
}
