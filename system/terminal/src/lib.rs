//! What a command tells its user: why it could not do its work and what to do about that, its output, words to type,
//! and text that others chose.
//!
//! ```
//! use vgpu_terminal::{Failure, OrMend};
//!
//! fn size(path: &str) -> Result<u64, Failure> {
//!     let metadata = std::fs::metadata(path).or_mend("give the path of a file")?;
//!     Ok(metadata.len())
//! }
//!
//! let failure = size("/nonexistent").unwrap_err();
//! assert!(failure.cause.starts_with("No such file"));
//! assert_eq!(failure.mend, "give the path of a file");
//! ```
#![forbid(unsafe_code)]

mod failure;
mod output;
mod printable;
pub mod shell;

pub use failure::{COULD_NOT_RUN, Failure, LogEnd, OrMend, describe};
pub use output::{json, print};
pub use printable::Printable;
