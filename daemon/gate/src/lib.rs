//! Between a daemon and each of its workers: engine time, by leases, and what the worker tells of its work.
//!
//! A worker asks for a lease by a message ([`message::WANT`]) before its engine works, and gives it back
//! ([`message::BACK`]) when it is used up, or its session has nothing to do. While nobody else wants the engine, a lease
//! goes on until it is recalled, and no message is sent at all. Both share a page ([`Page`]): the worker notes there since
//! when its engine works, and what it has done; the daemon notes which lease is recalled. Each writes its word before it
//! reads the other's, so that of an idle worker's lease, which the daemon takes back without asking, both know.
//!
//! ```text
//! worker                      daemon
//!   WANT                ->
//!                       <-    LEASE 7, open       nobody else wants the engine
//!   busy = now; recalled < 7: it works, any number of times
//!                             recalled = 7        somebody else does
//!   busy = 0;   recalled = 7
//!   BACK 7              ->
//! ```
//!
//! The daemon believes nothing: a worker that does not keep to this order is ended, one that does not come back is late,
//! and how long a lease was out is measured by the daemon's clock.
#![forbid(unsafe_code)]

mod clock;
mod error;
mod host;
pub mod message;
mod page;
mod times;
mod worker;

pub use clock::now;
pub use error::Error;
pub use host::{Breach, Heard, Seat};
pub use page::{Count, Page, Series};
pub use times::Times;
pub use worker::{Gate, Pass};
