//! A checklist that a program goes through: [`Point`]s, each of which is well, at fault with a cause and a mend to type, or
//! was not seen. What comes after a fault says nothing, so that a [`Report`] has one fault: the first cause.
#![forbid(unsafe_code)]

mod evidence;
mod finding;
mod report;

pub use evidence::Evidence;
pub use finding::{Finding, Mend, OrType, Place, Point, Trouble, Verdict, examine};
pub use report::Report;
