//! What a process gives up before it reads the first byte of a guest: other
//! users, files, new privileges, resources, and all system calls that it has no
//! use for. What it may still do is data: a [`Policy`].
//!
//! ```no_run
//! # fn start_threads() {}
//! # fn serve(_: vgpu_sandbox::Sandboxed) {}
//! # fn run(policy: &vgpu_sandbox::Policy) -> Result<(), vgpu_sandbox::Error> {
//! let mut sandbox = vgpu_sandbox::Sandbox::prepare()?;
//! sandbox.leave_files("/run/vgpu-stub/xen-3".as_ref())?;  // as root
//! sandbox.become_user(262_147)?;                          // as root
//! start_threads();                                        // they wait for what follows
//! let sandboxed = sandbox.close(policy)?;
//! serve(sandboxed);
//! # Ok(())
//! # }
//! ```
//!
//! [`Sandbox::close`] looks for itself whether all of that is in force, in every
//! thread, and there is no other way to a [`Sandboxed`]: who demands one of its
//! caller is not called outside of the sandbox.
//!
//! Linux 4.14 and later, x86-64.
#![forbid(unsafe_code)]

mod check;
mod common;
mod error;
#[cfg(feature = "landlock")]
mod files;
mod filter;
mod policy;
mod sandbox;
mod user;

pub use common::{COMMON, THREADS};
pub use error::Error;
#[cfg(feature = "landlock")]
pub use files::{FilesKept, keep_files};
pub use policy::{Argument, Call, Policy, Value};
pub use sandbox::{Sandbox, Sandboxed};
