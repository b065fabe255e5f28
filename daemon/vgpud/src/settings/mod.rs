//! What the operator says: engines, pools of them, who may attach for which machine, and what that machine may have.

mod file;
mod policy;
mod types;
mod users;

pub(crate) use policy::Machines;
pub use policy::Policy;
pub(crate) use types::{EngineSettings, Limits, MachineSettings, Settings};
pub(crate) use users::{UserRange, overlap};
