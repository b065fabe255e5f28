//! The parts of this crate that answer a guest, for the fuzz targets: they are
//! private, so these are here. Each function takes any bytes
//! and panics where something does not hold.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the fuzzer finds is a panic"
)]

mod ioreq;
mod kept;
mod memory_file;
mod script;

pub use ioreq::run as ioreq;
pub use kept::run as kept;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// A few inputs without a fuzzer, as it is not there in each run of the tests.
        #[test]
        fn whatever_the_bytes_are_the_rules_hold(
            bytes in prop::collection::vec(any::<u8>(), 0..256),
        ) {
            super::ioreq(&bytes);
            super::kept(&bytes);
        }
    }
}
