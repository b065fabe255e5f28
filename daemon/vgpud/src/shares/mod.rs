//! Which session has which engine, and what each machine's sessions have together.
//!
//! The daemon reads no command of a session's: a worker asks for engine time ([`vgpu_gate`]), and gets it as the engine's
//! [`vgpu_sched::Scheduler`] says. What a machine may have of device memory is in its ledger, which its workers share.

mod division;
mod engine;
mod machine;
mod prometheus;
mod seats;
mod status;
mod utilisation;

pub(crate) use division::Shares;
pub(crate) use seats::{Opened, SeatId};
pub use status::{
    EngineStatus, MachineStatus, SessionState, SessionStatus, Status, Work, WorkersStatus,
};
