//! The way to the device for a program of root in a guest that has no driver for it.
//!
//! Linux's sysfs gives config space and BAR0 ([`Device`]), its `/proc/self/pagemap` the addresses of locked memory
//! ([`Pages`]). A [`Driver`] does what a kernel's would: it settles features, shares memory by segment directories
//! ([`directory`]), and asks by the mailbox ([`Mailbox`]). A [`Channel`] is the guest's half of a ring, polled.
//!
//! It is for bringing a device up and for finding out what is wrong. Who may do this may do anything: it is no way for
//! programs of users.
#![forbid(unsafe_code)]

mod channel;
mod device;
pub mod directory;
mod driver;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod interrupt;
mod mailbox;
mod pages;
mod registers;
mod setting;

pub use channel::Channel;
pub use device::Device;
pub use driver::Driver;
pub use interrupt::Interrupt;
pub use mailbox::{Error, Mailbox, name_of_code};
pub use pages::{HUGE, PAGE, Pages};
pub use registers::Registers;
pub use setting::{Setting, keep_locked_pages, reserve_huge_pages};
