//! The serving process: its request thread answers the guest, its main thread the host. It can reach this domain and
//! nothing else: no xenstore, no other domain, no file.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use vgpu_control::{Attachment, Devices};
use vgpu_device::{Device, DeviceConfig, Effects};
use vgpu_pci::capability::PortType;
use vgpu_poll::{Poll, is_hung_up};
use vgpu_runtime::{Emulator, Log, ending_signals};
use vgpu_sandbox::{Sandbox, Sandboxed};
use vgpu_socket::Listener;
use xen_dm::device_model::{DeviceModel, ServerId};

use crate::error::{Error, cannot};
use crate::hypervisor::Hypervisor;
use crate::kept::{Kept, KeptError};
use crate::layout::{Folder, Options};
use crate::machine::{Machine, Placed};
use crate::mapping::Mapping;
use crate::placement::PlacedDevice;
use crate::request_loop;
use crate::sandbox::POLICY;
use crate::xen::Xen;

/// What it prints when it answers.
pub(crate) const READY: &str = "ready\n";

/// Bytes of the stack of the request thread.
const STACK: usize = 128 * 1024;

/// How often a process without a supervisor looks whether the domain is alive.
const LOOK: Duration = Duration::from_secs(5);

/// How long requests that are under way may take to be answered.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// Serves the devices of a domain, from where a process before this one left
/// them. stdin is the supervisor, as long as it is open; stdout is told when
/// the guest is answered.
///
/// # Errors
///
/// If Xen or the system refuses what it needs.
pub fn serve(options: &Options) -> Result<(), Error> {
    let mut sandbox = Sandbox::prepare()?;
    // It has a controlling terminal no longer; it fails where it had none.
    let _ = rustix::process::setsid();
    let signalled = ending_signals().map_err(cannot("handle signals"))?;
    let folder = Folder::of(options.domain);
    let (kept, id) = Kept::open(&folder.kept())?;
    if is_left_alone() {
        return Ok(());
    }
    let xen = Xen::connect(id, options.domain).map_err(Error::NoXen)?;
    let domain = DeviceModel::open(options.domain).map_err(Error::NoXen)?;
    domain.restrict().map_err(cannot("restrict a handle"))?;
    let control_socket = control_socket(options);
    sandbox.leave_files(folder.path())?;
    if options.uid_base > 0 {
        let offset = u32::from(options.domain.0);
        sandbox.become_user(options.uid_base.saturating_add(offset))?;
    }

    // Threads from here on.
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    let devices = |_| machine(options, &kept, &log);
    let (emulators, request_thread) = start_request_thread(sandbox, xen, devices)?;
    let control = Devices::new(Attachment::Xen, emulators);
    control.set_connected(true);
    let mut process = Process {
        control,
        control_socket: control_socket
            .map_err(|error| without_control(&error, &log))
            .ok(),
        signalled,
        domain,
        ioreq_server: id,
        supervised: true,
    };
    let result = process.run(&request_thread);
    log.flush(Log::LAST_LINES);
    // The control socket's file is the supervisor's to remove: this process
    // may not even look at it.
    std::mem::forget(process);
    result
}

/// Whether the supervisor was killed before this process could begin. Another
/// one may have begun to answer, which does not know of this.
fn is_left_alone() -> bool {
    is_hung_up(&io::stdin()).unwrap_or(false)
}

fn control_socket(options: &Options) -> Result<vgpu_control::Server, Error> {
    let listener = Listener::bind(&options.control, vgpu_control::Server::SOCKET_MODE)?;
    vgpu_control::Server::new(listener).map_err(cannot("serve the control socket"))
}

/// The guest has its device all the same: who has the socket's path or folder
/// must not take the device away.
fn without_control(error: &Error, log: &Log) {
    let mend = error.mend();
    log.event(format!("there is no control socket: {error}; {mend}"));
}

/// What the thread says once it has caught up.
const CAUGHT_UP: u8 = b'.';

/// What the request thread is to do, which it learns once the process is in
/// its sandbox.
struct Work {
    machine: Machine,
    /// The mappings that the process before left.
    left: Vec<Mapping>,
    sandboxed: Sandboxed,
}

/// Answers the guest by a thread of its own, once the sandbox is closed.
/// `devices` makes what it answers with; that comes after it too, as a guest has
/// written it. Returns what else `devices` made, and a stream that speaks once
/// the guest is answered and closes when it is no more.
pub(crate) fn start_request_thread<T>(
    sandbox: Sandbox,
    mut hypervisor: impl Hypervisor + Send + 'static,
    devices: impl FnOnce(Sandboxed) -> Result<(Machine, Vec<Mapping>, T), Error>,
) -> Result<(T, UnixStream), Error> {
    let (request_thread, own_end) = UnixStream::pair().map_err(cannot("make a socket"))?;
    // A thread's own start takes system calls that the sandbox ends it for.
    let (running, started) = sync_channel(1);
    let (begin, work) = sync_channel::<Work>(1);
    thread::Builder::new()
        .name("guest".into())
        .stack_size(STACK)
        .spawn(move || {
            let _ = running.send(());
            // There is none where the process ends.
            let Ok(work) = work.recv() else { return };
            let (mut machine, sandboxed) = (work.machine, work.sandboxed);
            machine.take_over(&mut hypervisor, &work.left);
            request_loop::catch_up(&mut hypervisor, &mut machine, sandboxed);
            // The other end is closed only where the process ends.
            let _ = (&own_end).write_all(&[CAUGHT_UP]);
            let _errno = request_loop::run(&mut hypervisor, &mut machine, sandboxed);
        })
        .map_err(cannot("start a thread"))?;
    let _ = started.recv();
    let sandboxed = sandbox.close(&POLICY)?;
    let (machine, left, made) = devices(sandboxed)?;
    let work = Work {
        machine,
        left,
        sandboxed,
    };
    // It fails where the thread has ended, which the stream tells.
    let _ = begin.send(work);
    Ok((made, request_thread))
}

/// The emulators of devices, with what each was made of.
type Emulators = Vec<(DeviceConfig, Arc<Emulator>)>;

/// The devices as they were left, with their emulators.
fn machine(
    options: &Options,
    kept: &Kept,
    log: &Log,
) -> Result<(Machine, Vec<Mapping>, Emulators), Error> {
    let mut placed = Vec::new();
    let mut all_left = Vec::new();
    let mut emulators = Vec::new();
    for (index, PlacedDevice { slot, config }) in options.devices.iter().enumerate() {
        let (state, left) = kept.device(index);
        let mut device = Device::new(config, PortType::RootComplexIntegratedEndpoint);
        let Effects {
            bar0: mapping,
            // As in the machine, which is made of it.
            bus_master: _,
            reset: _,
            doorbell: _,
            request: _,
            interrupt: _,
            revoke: _,
        } = device.restore(&state).map_err(|_| KeptError::Format)?;
        let mut bar0 = None;
        mapping.update(&mut bar0);
        let emulator = Emulator::new(device, options.trace, log.clone())
            .with_keep(Box::new(kept.keeper(index)));
        let emulator = Arc::new(emulator);
        emulators.push((*config, Arc::clone(&emulator)));
        let journal = Box::new(kept.keeper(index));
        placed.push(Placed::new(*slot, emulator, bar0, journal));
        all_left.push(left);
    }
    Ok((Machine::new(placed), all_left, emulators))
}

/// The thread beside the one that answers.
struct Process {
    control: Devices,
    control_socket: Option<vgpu_control::Server>,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    /// To look whether the domain is alive.
    domain: DeviceModel,
    ioreq_server: ServerId,
    supervised: bool,
}

/// What it waits for, in the order in which that is dealt with.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A signal asks for the end.
    Signal,
    /// The request thread has something to say, or has ended.
    RequestThread,
    /// The control socket has something to do.
    Control,
    /// The supervisor has ended.
    Supervisor,
}

impl Process {
    /// Runs until somebody asks for the end, or the domain is gone. `request_thread`
    /// speaks once when the guest is answered, and closes when it is no more.
    fn run(&mut self, request_thread: &UnixStream) -> Result<(), Error> {
        while self.turn(request_thread)? {}
        if !self.supervised {
            self.withdraw();
        }
        Ok(())
    }

    /// Waits for something to do, and does it; returns whether to go on.
    fn turn(&mut self, request_thread: &UnixStream) -> Result<bool, Error> {
        let supervisor = io::stdin();
        let ready = Poll::new()
            .readable(Source::Signal, &self.signalled)
            .readable(Source::RequestThread, request_thread)
            .readable(Source::Control, self.control_socket.as_ref())
            .readable(Source::Supervisor, self.supervised.then_some(&supervisor))
            .wait((!self.supervised).then_some(LOOK))
            .map_err(cannot("wait for events"))?;
        for source in ready {
            match source {
                Source::Signal => return Ok(false),
                Source::RequestThread => hear(request_thread)?,
                Source::Control => {
                    if let Some(socket) = &mut self.control_socket {
                        socket.ready(&self.control);
                    }
                }
                // It says nothing, so it has ended.
                Source::Supervisor => self.supervised = false,
            }
        }
        let has_domain =
            self.supervised || self.domain.set_enabled(self.ioreq_server, true).is_ok();
        Ok(has_domain && !self.control.shutdown_requested())
    }

    /// Takes the ioreq server away, as a supervisor would: a vCPU waits for ever for one that nobody answers for.
    fn withdraw(&self) {
        // It fails where the domain is gone, and all of it with it.
        if self.domain.set_enabled(self.ioreq_server, false).is_ok() {
            // The other thread answers what is under way.
            thread::sleep(UNDER_WAY);
            let _ = self.domain.destroy_server(self.ioreq_server);
        }
    }
}

/// Hears from the request thread that the guest is answered.
fn hear(mut request_thread: &UnixStream) -> Result<(), Error> {
    match request_thread.read(&mut [0]) {
        // The supervisor tells the world.
        Ok(1) => {
            let _ = io::stdout().write_all(READY.as_bytes());
            let _ = io::stdout().flush();
            Ok(())
        }
        _ => Err(Error::Serving("it lost its event channels".into())),
    }
}
