//! The process: its sockets, its signals, and the one VM it serves.

use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use vgpu_device::{Device, DeviceConfig};
use vgpu_emulator::{Control, Emulator, Log, ending_signals};
use vgpu_pci::capability::PortType;
use vgpu_sandbox::{Sandbox, Sandboxed};
use vgpu_socket::Listener;

use crate::client::Client;
use crate::error::{Error, cannot};
use crate::guard::Guard;
use crate::refusals::Refusals;
use crate::sandbox::POLICY;
use crate::service_manager::ServiceManager;

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where QEMU connects.
    pub socket: PathBuf,
    /// Permission bits of that socket's file.
    pub socket_mode: u32,
    /// Where the host's side connects, if it may.
    pub control: Option<PathBuf>,
    /// The device. Its slot means nothing here: the client chooses one.
    pub device: DeviceConfig,
    /// Whether accesses go to the log from the start.
    pub trace: bool,
}

/// The control socket is for the user that runs the server.
const CONTROL_MODE: u32 = 0o600;

/// How long to wait where the process has no descriptor for another client.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// How long a client's thread may take to end once its connection has.
const LAST_REPLY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// How long the log may take to write its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Serves the device to one VM after another, until a signal or the control
/// socket ends it. `guarding` is the command that runs [`guard`]. Says on
/// stdout when it is ready, and to systemd; the log goes to stderr.
///
/// [`guard`]: crate::guard()
///
/// # Errors
///
/// If a socket cannot be had, or the system refuses what the server needs. No
/// socket is left behind.
pub fn serve(options: &Options, guarding: Command) -> Result<(), Error> {
    let sandbox = Sandbox::prepare()?;
    let signalled = ending_signals().map_err(cannot("handle signals"))?;
    let listener = Listener::bind(&options.socket, options.socket_mode)?;
    let control_socket = match &options.control {
        Some(path) => {
            let listener = Listener::bind(path, CONTROL_MODE)?;
            Some(vgpu_control::Server::new(listener).map_err(cannot("serve the control socket"))?)
        }
        None => None,
    };
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    // QEMU makes of it what the device's place asks for.
    let device = Device::new(&options.device, PortType::RootComplexIntegratedEndpoint);
    let emulator = Arc::new(Emulator::new(device, options.trace, log));
    let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(cannot("make an eventfd"))?;
    let guard = Guard::start(guarding).map_err(cannot("start the guard"))?;
    let service_manager = ServiceManager::connect();

    // From here on their files are the guard's to remove: a process in this
    // sandbox may not even look at a file.
    let listener = ManuallyDrop::new(listener);
    let control_socket = ManuallyDrop::new(control_socket);
    let sandboxed = match sandbox.close(&POLICY) {
        Ok(sandboxed) => sandboxed,
        Err(error) => {
            guard.end();
            return Err(error.into());
        }
    };
    let mut server = Server {
        sandboxed,
        listener,
        control_socket,
        control: Control::new("vfio-user", vec![(options.device, Arc::clone(&emulator))]),
        signalled,
        emulator,
        client: None,
        ended: Arc::new(ended),
        guard: Some(guard),
        refusals: Refusals::default(),
        pause: false,
    };

    let path = options.socket.display();
    // Who closed stdout does not want to know, and who is no systemd neither.
    let _ = writeln!(io::stdout(), "vgpu-stub vfio-user: ready on {path}");
    service_manager.tell("READY=1");
    let result = server.run();
    service_manager.tell("STOPPING=1");
    server.stop_client();
    server.turn_the_rest_away();
    server.end_guard();
    server.emulator.log().flush(LAST_LINES);
    result
}

struct Server {
    sandboxed: Sandboxed,
    listener: ManuallyDrop<Listener>,
    control_socket: ManuallyDrop<Option<vgpu_control::Server>>,
    control: Control,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    emulator: Arc<Emulator>,
    client: Option<Client>,
    /// Signalled when the client is gone.
    ended: Arc<OwnedFd>,
    /// It ends the client's connection where this process cannot. It is not
    /// started again: this process may start none.
    guard: Option<Guard>,
    refusals: Refusals,
    /// The process has no descriptor for a client that waits.
    pause: bool,
}

impl Server {
    /// Runs until somebody asks for the end.
    fn run(&mut self) -> Result<(), Error> {
        while !self.control.shutdown_requested() {
            let ready = self.wait()?;
            if ready.signalled {
                break;
            }
            if ready.ended {
                self.client_ended();
            }
            if ready.unguarded {
                self.guard_ended();
            }
            if ready.connecting {
                self.accept();
            }
            if ready.control
                && let Some(socket) = &mut *self.control_socket
            {
                socket.ready(&self.control);
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<Ready, Error> {
        let listened = if self.pause {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let mut fds = [
            PollFd::new(&self.signalled, PollFlags::IN),
            PollFd::new(&*self.ended, PollFlags::IN),
            PollFd::new(&*self.listener, listened),
            // Where there is none of these two, one more of another.
            match &*self.control_socket {
                Some(socket) => PollFd::new(socket, PollFlags::IN),
                None => PollFd::new(&self.signalled, PollFlags::empty()),
            },
            match &self.guard {
                Some(guard) => PollFd::new(guard, PollFlags::IN),
                None => PollFd::new(&self.signalled, PollFlags::empty()),
            },
        ];
        match poll(&mut fds, self.pause.then_some(&PAUSE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("wait for events")(errno)),
        }
        let [signalled, ended, connecting, control, unguarded] =
            fds.map(|fd| fd.revents().contains(PollFlags::IN));
        self.pause = false;
        Ok(Ready {
            signalled,
            ended,
            connecting,
            control,
            unguarded,
        })
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok(Some(stream)) => self.admit(stream),
            Ok(None) => {}
            Err(error) => {
                self.pause = true;
                self.say(format!("cannot accept a client: {error}"));
            }
        }
    }

    /// Serves a client, or turns it away while there is another.
    fn admit(&mut self, stream: UnixStream) {
        if self.client.is_some() {
            self.say("turned a client away: another VM has the device");
            self.turn_away(stream);
            return;
        }
        self.guard(Some(&stream));
        let (emulator, ended) = (Arc::clone(&self.emulator), Arc::clone(&self.ended));
        match Client::start(stream, emulator, ended, self.sandboxed) {
            Ok(client) => {
                self.client = Some(client);
                self.control.set_connected(true);
                self.say("client connected");
            }
            Err(error) => {
                self.guard(None);
                self.say(format!("cannot serve a client: {error}"));
            }
        }
    }

    fn turn_away(&mut self, stream: UnixStream) {
        if let Err(error) = self.refusals.add(stream, self.sandboxed) {
            self.say(format!("cannot answer a client: {error}"));
        }
    }

    /// Turns those away that nobody has accepted yet. They would be reset, as
    /// the socket is closed over them.
    fn turn_the_rest_away(&mut self) {
        self.listener.stop_listening();
        if let Some(socket) = &*self.control_socket {
            socket.stop_listening();
        }
        while let Ok(Some(stream)) = self.listener.accept() {
            self.turn_away(stream);
        }
        self.refusals.end();
    }

    fn client_ended(&mut self) {
        let _ = rustix::io::read(self.ended.as_fd(), &mut [0; 8]);
        if let Some(client) = self.client.take() {
            self.control.set_connected(false);
            self.guard(None);
            match client.finish() {
                Ok(()) => self.say("client left"),
                Err(broken) => self.say(format!("client dropped: {broken}")),
            }
        }
    }

    /// Ends the connection. The thread is left alone if it does not end in
    /// time: a client may have given it a file that hangs as it is closed.
    fn stop_client(&mut self) {
        if let Some(client) = &self.client {
            client.stop();
            let mut fds = [PollFd::new(&*self.ended, PollFlags::IN)];
            if poll(&mut fds, Some(&LAST_REPLY)).is_ok_and(|ready| ready > 0) {
                self.client_ended();
            }
        }
    }

    /// Has the guard hold the client's connection, or nothing any more.
    fn guard(&mut self, client: Option<&UnixStream>) {
        if let Some(guard) = &self.guard
            && guard.hold(client).is_err()
        {
            self.guard_ended();
        }
    }

    /// Goes on without the guard.
    fn guard_ended(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.end();
            self.say(
                "the guard has ended: QEMU may end too where this server is killed; \
                 start the server again when no VM has the device",
            );
        }
    }

    /// Ends the guard. Where the client's thread has not ended, the guard has
    /// its work to do once this process has.
    fn end_guard(&mut self) {
        if self.client.is_none()
            && let Some(guard) = self.guard.take()
        {
            guard.end();
        }
    }

    fn say(&self, text: impl Into<String>) {
        self.emulator.log().event(text);
    }
}

/// What there is to do.
struct Ready {
    signalled: bool,
    ended: bool,
    connecting: bool,
    control: bool,
    unguarded: bool,
}
