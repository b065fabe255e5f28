//! The process that answers the guest. It can reach this domain and nothing
//! else: no xenstore, no other domain, no file.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vgpu_device::{Device, DeviceConfig, Host};
use vgpu_emulator::{Control, Emulator, Log, ending_signals};
use vgpu_pci::capability::PortType;
use vgpu_socket::Listener;
use vgpu_xen::device_model::{DeviceModel, ServerId};

use crate::answer;
use crate::error::{Error, cannot};
use crate::kept::{Kept, KeptError};
use crate::layout::{Folder, Options};
use crate::machine::{Machine, Placed};
use crate::sandbox;
use crate::server::Server;

/// What it prints when it answers.
pub(crate) const READY: &str = "ready\n";

/// The control socket is for root.
pub(crate) const CONTROL_MODE: u32 = 0o600;

/// Bytes of the stack of the thread that answers.
const STACK: usize = 128 * 1024;

/// How often a process without a supervisor looks whether the domain is alive.
const LOOK: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How long requests that are under way may take to be answered.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// How long the log may take to write its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Serves the devices of a domain, from where a process before this one left
/// them. stdin is the supervisor, as long as it is open; stdout is told when
/// the guest is answered.
///
/// # Errors
///
/// If Xen or the system refuses what it needs.
pub fn serve(options: &Options) -> Result<(), Error> {
    let signalled = ending_signals().map_err(cannot("handle signals"))?;
    let (kept, id) = Kept::open(&Folder::of(options.domain).kept())?;
    if is_left_alone() {
        return Ok(());
    }
    let mut server = Server::connect(id, options.domain).map_err(Error::NoXen)?;
    let domain = DeviceModel::open(options.domain).map_err(Error::NoXen)?;
    domain.restrict().map_err(cannot("restrict a handle"))?;
    let control_socket = control_socket(options);
    if options.uid_base > 0 {
        let offset = u32::from(options.domain.0);
        sandbox::become_user(options.uid_base.saturating_add(offset))?;
    }

    // Threads from here on.
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    let (mut machine, emulators) = machine(options, &kept, &log)?;
    let control = Control::new("xen", emulators);
    control.set_connected(true);
    let mut process = Process {
        control,
        control_socket: control_socket
            .map_err(|error| without_control(&error, &log))
            .ok(),
        signalled,
        domain,
        server: id,
    };
    let (answering, failure) = UnixStream::pair().map_err(cannot("make a socket"))?;
    let left: Vec<_> = (0..options.devices.len())
        .map(|device| kept.device(device).1)
        .collect();
    // A thread's own start takes system calls that the sandbox ends it for.
    let (running, started) = sync_channel(1);
    thread::Builder::new()
        .name("guest".into())
        .stack_size(STACK)
        .spawn(move || {
            let _ = running.send(());
            machine.take_over(&mut server, &left);
            answer::catch_up(&mut server, &mut machine);
            // The other end is closed only where the process ends.
            let _ = (&failure).write_all(&[ANSWERS]);
            answer::run(&mut server, &mut machine)
        })
        .map_err(cannot("start a thread"))?;
    let _ = started.recv();
    sandbox::close()?;
    let result = process.run(&answering);
    log.flush(LAST_LINES);
    // The control socket's file is the supervisor's to remove: this process
    // may not even look at it.
    std::mem::forget(process);
    result
}

/// Whether the supervisor was killed before this process could begin. Another
/// one may have begun to answer, which does not know of this.
fn is_left_alone() -> bool {
    let supervisor = io::stdin();
    let mut fds = [PollFd::new(&supervisor, PollFlags::empty())];
    let hung_up = poll(&mut fds, Some(&Timespec::default()));
    hung_up.is_ok_and(|hung_up| hung_up > 0)
}

fn control_socket(options: &Options) -> Result<vgpu_control::Server, Error> {
    let listener = Listener::bind(&options.control, CONTROL_MODE)?;
    vgpu_control::Server::new(listener).map_err(cannot("serve the control socket"))
}

/// The guest has its device all the same: who has the socket's path or folder
/// must not take the device away.
fn without_control(error: &Error, log: &Log) {
    let mend = error.mend();
    log.event(format!("there is no control socket: {error}; {mend}"));
}

/// What the thread says once it has caught up.
const ANSWERS: u8 = b'.';

/// The devices as they were left, with their emulators.
#[expect(clippy::type_complexity, reason = "each part has one use")]
fn machine(
    options: &Options,
    kept: &Kept,
    log: &Log,
) -> Result<(Machine, Vec<(DeviceConfig, Arc<Emulator>)>), Error> {
    let mut placed = Vec::new();
    let mut emulators = Vec::new();
    for (index, config) in options.devices.iter().enumerate() {
        let (state, _) = kept.device(index);
        let mut device = Device::new(config, PortType::RootComplexIntegratedEndpoint);
        let mut bar0 = Bar0::default();
        device
            .restore(&state, &mut bar0)
            .map_err(|_| KeptError::Format)?;
        let emulator = Emulator::new(device, options.trace, log.clone())
            .with_keep(Box::new(kept.keeper(index)));
        let emulator = Arc::new(emulator);
        emulators.push((*config, Arc::clone(&emulator)));
        let journal = Box::new(kept.keeper(index));
        placed.push(Placed::new(config.slot.into(), emulator, bar0.0, journal));
    }
    Ok((Machine::new(placed), emulators))
}

/// The addresses that a restored device's BAR0 has.
#[derive(Default)]
struct Bar0(Option<Range<u64>>);

impl Host for Bar0 {
    fn bar_mapped(&mut self, _: u8, range: Option<Range<u64>>) {
        self.0 = range;
    }
}

/// The thread beside the one that answers.
struct Process {
    control: Control,
    control_socket: Option<vgpu_control::Server>,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    /// To look whether the domain is alive.
    domain: DeviceModel,
    server: ServerId,
}

impl Process {
    /// Runs until somebody asks for the end, or the domain is gone. `answering`
    /// speaks once when the guest is answered, and closes when it is no more.
    fn run(&mut self, answering: &UnixStream) -> Result<(), Error> {
        let supervisor = io::stdin();
        let mut supervised = true;
        while !self.control.shutdown_requested() {
            let hangup = if supervised {
                PollFlags::IN
            } else {
                PollFlags::empty()
            };
            let mut fds = [
                PollFd::new(&self.signalled, PollFlags::IN),
                PollFd::new(answering, PollFlags::IN),
                // Where there is none of these two, one more of another.
                match &self.control_socket {
                    Some(socket) => PollFd::new(socket, PollFlags::IN),
                    None => PollFd::new(&self.signalled, PollFlags::empty()),
                },
                if supervised {
                    PollFd::new(&supervisor, hangup)
                } else {
                    PollFd::new(&self.signalled, PollFlags::empty())
                },
            ];
            match poll(&mut fds, (!supervised).then_some(&LOOK)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(cannot("wait for events")(errno)),
            }
            let any = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
            let [signalled, answers, control, left_alone] =
                fds.map(|fd| fd.revents().intersects(any));
            if signalled {
                break;
            }
            if answers {
                let mut said = [0];
                match (&*answering).read(&mut said) {
                    // The supervisor tells the world.
                    Ok(1) => {
                        let _ = io::stdout().write_all(READY.as_bytes());
                        let _ = io::stdout().flush();
                    }
                    _ => return Err(Error::Serving("it lost its event channels".into())),
                }
            }
            if let (true, Some(socket)) = (control, &mut self.control_socket) {
                socket.ready(&self.control);
            }
            supervised = supervised && !left_alone;
            if !supervised && self.domain.set_enabled(self.server, true).is_err() {
                break;
            }
        }
        if !supervised {
            self.withdraw();
        }
        Ok(())
    }

    /// Takes the ioreq server away, as a supervisor would: a vCPU waits for ever for one that nobody answers for.
    fn withdraw(&self) {
        // It fails where the domain is gone, and all of it with it.
        if self.domain.set_enabled(self.server, false).is_ok() {
            // The other thread answers what is under way.
            thread::sleep(UNDER_WAY);
            let _ = self.domain.destroy_server(self.server);
        }
    }
}
