//! What `vgpu-emulator` is asked to do: its arguments, written by `vgpu-stub` and read by the program itself.
//!
//! The program is what a guest reaches, and has nothing else in it. Operators know `vgpu-stub`, whose subcommands
//! understand what they type, and become this program, or start it, with a [`Call`]. It names its version: after half an
//! upgrade, the two programs may be of different releases.
//!
//! ```
//! use vgpu_emulator::{Call, DeviceProperties};
//! use vgpu_vfio_user::Options;
//!
//! let device: DeviceProperties = "bar0-size=64K".parse().unwrap();
//! let call = Call::VfioUser(Options {
//!     socket: "/run/vgpu.sock".into(),
//!     socket_mode: 0o600,
//!     control: None,
//!     device: device.config,
//!     trace: false,
//!     link: None,
//! });
//! let words = call.words();
//! assert_eq!(words[..3], ["vfio-user", "--socket", "/run/vgpu.sock"]);
//! assert_eq!(Call::parse(words.clone()).unwrap().words(), words);
//! ```
#![forbid(unsafe_code)]

mod call;
pub mod number;
mod parse;
mod place;
mod placement;
mod properties;

pub use call::{Call, XenCall};
pub use place::{INSTALLED, PROGRAM, places};
pub use placement::placed;
pub use properties::{DeviceProperties, Kind, PROPERTIES, Property, as_qemu};
pub use vgpu_xen::PlacedDevice;

/// What it calls itself in the list of processes, where operators look for the command that they have typed.
pub const SHOWN_AS: &str = "vgpu-stub";

/// What begins the line on stdout that tells why a detached emulator cannot start.
pub const FAILED: &str = "failed: ";
