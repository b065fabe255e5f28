//! What a driver asks the host for.

/// A command that the host has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// By what it is answered.
    pub number: u32,
    /// What is asked for.
    pub task: Task,
}

/// What the host has to do. Numbers and addresses are the guest's, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Takes the device's page.
    Start {
        /// Its address.
        page: u64,
    },
    /// Closes all channels, and gives the page back.
    Stop,
    /// Opens a channel; the answer is its number.
    Open {
        /// Address of the segment directory.
        directory: u64,
        /// Bytes of the slice.
        length: u64,
    },
    /// Closes one.
    Close {
        /// Its number.
        channel: u32,
    },
    /// Whether one is still served; the answer is 1, or 0 where its worker is gone.
    Look {
        /// Its number.
        channel: u32,
    },
    /// Adds a region; the answer is its number.
    Add {
        /// The channel's number.
        channel: u32,
        /// Address of the segment directory.
        directory: u64,
        /// Bytes of the region.
        length: u64,
    },
    /// Takes one away.
    Delete {
        /// The channel's number.
        channel: u32,
        /// The region's number.
        region: u32,
    },
}
