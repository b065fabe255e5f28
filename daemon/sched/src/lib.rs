//! Who may use an engine next, and for how long.
//!
//! A [`Scheduler`] divides one engine's time among virtual machines, and each machine's among its sessions, by deficit
//! round robin (Shreedhar and Varghese, *Efficient Fair Queueing using Deficit Round Robin*, SIGCOMM 1995). What it hands
//! out is a [`Lease`]: so much engine time, to be given back when it is used up, or when its session has nothing to do. A
//! lease that ran longer than it was given for is charged in full, so that a kernel that nobody can interrupt is paid for
//! afterwards.
//!
//! It has no clock and does no I/O: whoever calls says what time it is, in nanoseconds of any clock that does not go back.
//! The same calls give the same answers. [`simulation`] drives it with a clock of its own.
//!
//! ```
//! use vgpu_sched::{Config, Decision, Scheduler, Share};
//!
//! let mut scheduler = Scheduler::new(Config::default());
//! scheduler.set_vm(1, Share { weight: 100, ..Share::default() });
//! scheduler.set_vm(2, Share { weight: 300, ..Share::default() });
//! let (one, two) = (scheduler.open(1, 0)?, scheduler.open(2, 0)?);
//! scheduler.submit(one, 0)?;
//! scheduler.submit(two, 0)?;
//! let Decision::Grant(lease) = scheduler.next(0) else { panic!() };
//! assert_eq!((lease.session, lease.time), (one, 2_000_000));
//! // One at a time.
//! assert!(matches!(scheduler.next(0), Decision::Wait(_)));
//! scheduler.done(one, 1_500_000, 1_500_000);
//! # Ok::<(), vgpu_sched::Refused>(())
//! ```
#![forbid(unsafe_code)]

mod account;
mod bucket;
mod entities;
mod scheduler;
mod share;
pub mod simulation;
mod turn;
mod words;

pub use scheduler::Scheduler;
pub use share::{Config, Priority, Rate, Share};
pub use words::{Decision, Expired, Lease, Nanos, Refused, SessionId, Usage, VmId};
