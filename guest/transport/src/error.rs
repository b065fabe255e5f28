//! Why there is no session, or no more of it.

/// The session is over: its worker ended, or the device is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is lost: its worker has ended")]
pub struct Lost;

/// Why a session or a region was not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no vgpu daemon at {name}: {cause}; start the program with `vgpu run`")]
    NoDaemon {
        /// Where it was looked for.
        name: String,
        /// What the system said.
        cause: rustix::io::Errno,
    },
    /// There is no name in the environment, and no daemon stands by for the user.
    #[error(
        "no vgpu daemon: {variable} is not set, and no vgpud of this user runs; start the program \
         with `vgpu run`, or a daemon with `systemctl --user start vgpud`"
    )]
    NotSet {
        /// The environment's variable.
        variable: &'static str,
    },
    /// The environment says that there is to be none.
    #[error("no vgpu daemon: {variable} is `none`; start the program with `vgpu run`")]
    None {
        /// The environment's variable.
        variable: &'static str,
    },
    /// The name in the environment is none.
    #[error("{variable} is not a session's name (32 hexadecimal digits)")]
    Name {
        /// The environment's variable.
        variable: &'static str,
    },
    /// Whoever listens is another user.
    #[error("the other end of the session's socket is user {peer}, not {own}")]
    Stranger {
        /// Its user.
        peer: u32,
        /// This process's.
        own: u32,
    },
    /// Another user listens where this user's standing daemon should.
    #[error(
        "user {user} (process {process}) listens in place of this user's vgpud, at {name}, and \
         is sent nothing; have that process ended, or start the program with `vgpu run`"
    )]
    Taken {
        /// The abstract socket, as `ss -xl` shows it.
        name: String,
        /// Who does.
        user: u32,
        /// By which process.
        process: i32,
    },
    /// This user's standing daemon is there already.
    #[error("vgpud of this user runs already: process {process}")]
    Runs {
        /// Its process.
        process: i32,
    },
    /// The other end speaks another protocol, or a wrong one.
    #[error("unexpected message on the session's socket: {0}")]
    Protocol(&'static str),
    /// The host refused.
    #[error("the host refuses: {0}")]
    Refused(rustix::io::Errno),
    /// There is a device, which no driver has.
    #[error(
        "the virtual GPU {address} has no driver: load it with `modprobe vgpu`, of the package \
         vgpu-dkms"
    )]
    NoDriver {
        /// Its address on the PCI bus.
        address: String,
    },
    /// A driver's node cannot be opened.
    #[error("cannot open {node}: {cause}; it is for root, and for members of the group vgpu")]
    Node {
        /// The node.
        node: &'static str,
        /// What the system said.
        cause: rustix::io::Errno,
    },
    /// The device's host has no daemon.
    #[error(
        "the virtual GPU's host gives no sessions now (STATE {state}): start vgpud there, and let \
         the device's server reach it"
    )]
    NoHost {
        /// [`vgpu_abi::features::state`].
        state: u32,
    },
    /// The driver opens no session.
    #[error("no session with the virtual GPU's host ({cause}): {why}")]
    NoSession {
        /// What it said.
        cause: rustix::io::Errno,
        /// What that means.
        why: &'static str,
    },
    /// The worker speaks another version of the session ABI ([`vgpu_ring::layout::SESSION_ABI`]).
    #[error(
        "this libcuda.so.1 speaks version {own} of the session, the host's worker {host}: install \
         {} of the other's version",
        if host < own { "vgpu-host on the host" } else { "vgpu-guest in this guest" }
    )]
    Version {
        /// The worker's; 0 where it says none, as workers of before version 5.
        host: u32,
        /// This program's.
        own: u32,
    },
    /// The memory cannot be mapped.
    #[error(transparent)]
    Window(#[from] vgpu_window::Error),
    /// The system refused.
    #[error("session's socket: {0}")]
    System(#[from] rustix::io::Errno),
    /// The session is over.
    #[error(transparent)]
    Lost(#[from] Lost),
}
