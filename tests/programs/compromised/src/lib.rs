//! A process that answers a guest or serves a program, taken over by it: what it
//! tries, and what comes of it in the sandbox that such a process has.
//!
//! [`ACTS`] is the list. The program of this crate tries each act in a process
//! of its own, which closes the sandbox of production before; it is in no
//! package. The book's page has [`page()`] and [`policies()`].

mod acts;
mod attempt;
mod expected;
mod page;
mod run;

pub use acts::ACTS;
pub use expected::{Act, Outcome, Process};
pub use page::{page, policies};
pub use run::{Domains, act, try_all};
