//! What the sessions of one virtual machine have together, against what it may have: in a page of memory that their
//! workers and the daemon share.
//!
//! Each session has a place of its own in the page, to which its worker alone adds. A worker adds what it wants, and then
//! sums all places up: where that is more than the quota, it takes its part away again. Two that do so at once both see
//! both parts, so together they never have more than the quota; and where a worker is killed, at whatever point, what its
//! place says goes with the place ([`Ledger::close`]).
//!
//! What is in the page may be anything, as a worker may be compromised: sums saturate, and a machine whose workers write
//! nonsense there has no memory left for itself.
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use vgpu_ledger::{Kind, Ledger};
//!
//! let page: Vec<AtomicU64> = (0..Ledger::<&[AtomicU64]>::WORDS).map(|_| AtomicU64::new(0)).collect();
//! let ledger = Ledger::new(page.as_slice()).unwrap();
//! ledger.set_quota(Kind::Device, 100);
//! let place = ledger.place(3).unwrap();
//! let reserved = place.reserve(Kind::Device, 60)?;
//! // The device has so much: it is this session's now.
//! reserved.commit();
//! // Where the device has not, what was reserved is given back.
//! drop(place.reserve(Kind::Device, 40)?);
//! assert_eq!(ledger.used(Kind::Device), 60);
//! assert!(place.reserve(Kind::Device, 41).is_err());
//! # Ok::<(), vgpu_ledger::Full>(())
//! ```
#![forbid(unsafe_code)]

mod page;
mod places;

pub use page::{Full, Kind, Ledger, Place, Reserved};
pub use places::{NoPlace, Places};
