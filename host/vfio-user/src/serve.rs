//! The process: its sockets, its signals, and the one VM it serves.

use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use vfio_user_server::{Broken, Connection};
use vgpu_control::{Attachment, Devices};
use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;
use vgpu_poll::{Poll, is_readable};
use vgpu_runtime::{Emulator, Log, ending_signals};
use vgpu_sandbox::Sandbox;
use vgpu_service_manager::{ServiceManager, State};
use vgpu_socket::Listener;

use crate::client::{ClientId, News, Phase};
use crate::clients::{Clients, LEAVING};
use crate::ending::Ending;
use crate::endpoint::Endpoint;
use crate::error::{Error, cannot};
use crate::guard::{Guard, Guarding};
use crate::held::Held;
use crate::sandbox::{FEATURES_POLICY, POLICY};
use crate::search::{LinkOptions, Search};
use crate::shared::{LOOK, Shared};

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where QEMU connects.
    pub socket: PathBuf,
    /// Permission bits of that socket's file.
    pub socket_mode: u32,
    /// Where the host's side connects, if it may.
    pub control: Option<PathBuf>,
    /// The device; the client chooses its slot.
    pub device: DeviceConfig,
    /// Whether accesses go to the log from the start.
    pub trace: bool,
    /// Who serves the channels of a device with features; without, its guest is told that there is nobody.
    pub link: Option<LinkOptions>,
}

/// How long to wait where the process has no descriptor for another client.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// How often those are looked at that keep another client from being accepted.
const NO_ROOM: Duration = Duration::from_millis(10);

/// How long clients may take to end once the process is to.
const LAST_REPLY: Duration = Duration::from_secs(1);

const TURNED_AWAY: &str = "turned a client away: another VM has the device";

/// Serves the device to one VM after another, until a signal or the control
/// socket ends it. `guard_of` gives the command that runs [`guard`]. Says on
/// stdout when it is ready, and to systemd; the log goes to stderr.
///
/// [`guard`]: crate::guard()
///
/// # Errors
///
/// If the socket cannot be had, or the system refuses what the server needs. No
/// socket is left behind. Where there can be no control socket, the log says
/// so, and the device is served without.
pub fn serve(options: &Options, guard_of: impl FnOnce(Guarding) -> Command) -> Result<(), Error> {
    let sandbox = Sandbox::prepare()?;
    let signalled = ending_signals().map_err(cannot("handle signals"))?;
    let listener = Listener::bind(&options.socket, options.socket_mode)?;
    let control_socket = options.control.as_deref().map(control_socket);
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    let ending = Ending::start().map_err(cannot("start a thread"))?;
    let control_socket = match control_socket.transpose() {
        Ok(socket) => socket,
        Err(error) => {
            log.event(format!("there is no control socket: {error}"));
            log.event(format!(
                "to have one, {}, and start this server again",
                error.mend()
            ));
            None
        }
    };
    // QEMU makes of it what the device's place asks for.
    let device = Device::new(&options.device, PortType::RootComplexIntegratedEndpoint);
    let emulator = Arc::new(Emulator::new(device, options.trace, log));
    let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map(Arc::new)
        .map_err(cannot("make an eventfd"))?;
    // Without a control socket, what is at its path is another's.
    let control = options.control.clone().filter(|_| control_socket.is_some());
    let link = options.link.as_ref();
    let guarding = Guarding {
        sockets: [options.socket.clone()]
            .into_iter()
            .chain(control)
            .collect(),
        link: link.map(|link| link.socket.clone()),
    };
    let shared = options.device.features.map(|features| {
        // Who has no daemon asks for no machine of its own.
        let machine = link.map_or([0; 16], |link| link.machine);
        Shared::new(Arc::clone(&emulator), &features, machine)
    });
    let shared = shared.transpose().map_err(cannot("make an eventfd"))?;
    let guard = Guard::start(guard_of(guarding)).map_err(cannot("start the guard"))?;
    // While sockets can still be made.
    let service_manager = ServiceManager::connect();

    // From here on their files are the guard's to remove: a process in this
    // sandbox may not even look at a file.
    let listener = ManuallyDrop::new(listener);
    let control_socket = ManuallyDrop::new(control_socket);
    let policy = match shared {
        Some(_) => &FEATURES_POLICY,
        None => &POLICY,
    };
    let sandboxed = match sandbox.close(policy) {
        Ok(sandboxed) => sandboxed,
        Err(error) => {
            guard.end();
            return Err(error.into());
        }
    };
    let mut server = Server {
        listener,
        control_socket,
        control: Devices::new(
            Attachment::VfioUser,
            vec![(options.device, Arc::clone(&emulator))],
        ),
        signalled,
        emulator,
        clients: Clients::new(Arc::clone(&news), sandboxed),
        news,
        leaving: None,
        ending,
        guard: Some(guard),
        paused: None,
        shared: shared.map(Arc::new),
        daemon: link.map(|_| Search::new()),
    };

    let path = options.socket.display();
    // Who closed stdout does not want to know, and who is no systemd neither.
    let _ = writeln!(io::stdout(), "vgpu-stub vfio-user: ready on {path}");
    service_manager.tell(State::Ready);
    let result = server.run();
    service_manager.tell(State::Stopping);
    server.end_clients();
    server.end_guard();
    server.emulator.log().flush(Log::LAST_LINES);
    result
}

/// What the server waits for, in the order in which that is dealt with.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A signal asks for the end.
    Signal,
    /// The client that has the device has closed its side. It is heard before the news, after which another client may have
    /// the device.
    Holder,
    /// A client has something to say.
    News,
    /// The guard has ended.
    Guard,
    /// Somebody connects.
    Listener,
    /// The control socket has something to do.
    Control,
    /// The daemon says something, or is gone.
    Daemon,
    /// A worker has something for the guest.
    Worker,
}

struct Server {
    listener: ManuallyDrop<Listener>,
    control_socket: ManuallyDrop<Option<vgpu_control::Server>>,
    control: Devices,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    emulator: Arc<Emulator>,
    clients: Clients,
    /// Signalled when a client has news.
    news: Arc<OwnedFd>,
    /// Since when the client that has the device has been gone.
    leaving: Option<Instant>,
    ending: Ending,
    /// It ends the client's connection where this process cannot. It is not
    /// started again: this process may start none.
    guard: Option<Guard>,
    /// Until when no client is accepted.
    paused: Option<Instant>,
    /// Where the device has features.
    shared: Option<Arc<Shared>>,
    /// Where one is to serve its channels.
    daemon: Option<Search>,
}

fn control_socket(path: &Path) -> Result<vgpu_control::Server, Error> {
    let listener = Listener::bind(path, vgpu_control::Server::SOCKET_MODE)?;
    vgpu_control::Server::new(listener).map_err(cannot("serve the control socket"))
}

impl Server {
    /// Runs until somebody asks for the end.
    fn run(&mut self) -> Result<(), Error> {
        while !self.control.shutdown_requested() {
            for source in self.wait()? {
                match source {
                    Source::Signal => return Ok(()),
                    Source::Holder => self.leaving = Some(Instant::now()),
                    Source::News => self.hear(),
                    Source::Guard => self.hear_guard(),
                    Source::Daemon => self.hear_daemon(),
                    Source::Worker => self.shared.iter().for_each(|shared| shared.pass_on()),
                    Source::Listener => self.accept()?,
                    Source::Control => {
                        if let Some(socket) = &mut *self.control_socket {
                            socket.ready(&self.control);
                        }
                    }
                }
            }
            if self.leaving.is_some_and(|since| since.elapsed() >= LEAVING) {
                self.take_back();
            }
            self.look_for_daemon();
            self.shared.iter().for_each(|shared| shared.attend());
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<Vec<Source>, Error> {
        self.paused = self.paused.filter(|until| *until > Instant::now());
        let leaving = self.leaving.and_then(|since| since.checked_add(LEAVING));
        let socket = self.shared.as_deref().and_then(Shared::socket);
        // Whichever thread has heard of it.
        if socket.is_none() && self.daemon.as_mut().is_some_and(Search::is_over) {
            self.say("the daemon is gone, and workers wait for the next one for 5 s");
        }
        let shared = self.shared.as_deref();
        let daemon = self.daemon.as_ref().and_then(Search::next);
        let settling = shared.is_some_and(Shared::is_settling);
        let settles = settling.then(|| Instant::now().checked_add(LOOK)).flatten();
        let next = [self.paused, leaving, daemon, settles];
        let next = next.into_iter().flatten().min();
        let limit = next.map(|at| at.saturating_duration_since(Instant::now()));
        let holder = self.clients.holder().filter(|_| self.leaving.is_none());
        let listener = self.paused.is_none().then_some(&*self.listener);
        Poll::new()
            .readable(Source::Signal, &self.signalled)
            .hung_up(Source::Holder, holder.map(|client| &*client.stream))
            .readable(Source::News, &*self.news)
            .readable(Source::Guard, self.guard.as_ref())
            .readable(Source::Listener, listener)
            .readable(Source::Control, self.control_socket.as_ref())
            .readable(Source::Daemon, socket.as_deref())
            .readable(Source::Worker, shared.map(Shared::raised))
            .wait(limit)
            .map_err(cannot("wait for events"))
    }

    /// Hears the next client, where there is room.
    fn accept(&mut self) -> Result<(), Error> {
        if !self.clients.have_room() {
            if self.clients.are_stuck() {
                return Err(Error::Stuck);
            }
            self.clients.give_way();
            self.pause(NO_ROOM);
            return Ok(());
        }
        match self.listener.accept() {
            Ok(Some(stream)) => self.admit(stream),
            Ok(None) => {}
            Err(error) => {
                // It may be clients who have all descriptors, and so cause this.
                self.clients.give_way();
                self.pause(NO_DESCRIPTOR);
                self.say_of_guest(format!("cannot accept a client: {error}"));
            }
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.paused = Instant::now().checked_add(time);
    }

    fn admit(&mut self, stream: UnixStream) {
        let stream = Arc::new(stream);
        if let Err(error) = self.clients.add(&stream) {
            match self.clients.holder() {
                Some(_) => self.say_of_guest(TURNED_AWAY),
                None => self.say_of_guest(format!("cannot serve a client: {error}")),
            }
            self.ending.end(Connection::new(stream));
        }
    }

    fn hear(&mut self) {
        let _ = rustix::io::read(self.news.as_fd(), &mut [0; 8]);
        while let Some((id, news)) = self.clients.hear() {
            match news {
                News::Proposed => self.proposed(id),
                News::Ended(ended) => self.ended(id, ended),
            }
        }
    }

    /// A client asks for the device: it has it, waits for the last one to end
    /// who has left, or is turned away.
    fn proposed(&mut self, id: ClientId) {
        match self.clients.holder() {
            None => self.give(id),
            Some(holder) if holder.has_left() => {
                if let Some(client) = self.clients.get(id) {
                    client.enter(Phase::Waiting);
                }
            }
            Some(_) => self.refuse(id),
        }
    }

    fn refuse(&mut self, id: ClientId) {
        self.say_of_guest(TURNED_AWAY);
        if let Some(client) = self.clients.get(id) {
            client.refuse();
        }
    }

    /// Gives a client the device, which nobody has.
    fn give(&mut self, id: ClientId) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let stream = Arc::clone(&client.stream);
        self.guard(Some(&stream));
        if let Some(client) = self.clients.get(id) {
            let endpoint = Endpoint::new(Arc::clone(&self.emulator), self.shared.clone());
            client.serve(Held::new(endpoint));
            self.control.set_connected(true);
            self.say_of_guest("client connected");
        }
    }

    /// A client is gone, and all that it sent.
    fn ended(&mut self, id: ClientId, ended: Result<(), Broken>) {
        let phase = self.clients.remove(id);
        let served = matches!(phase, Some(Phase::Served(_)));
        match ended {
            Err(broken) => self.say_of_guest(format!("client dropped: {broken}")),
            Ok(()) if served => self.say_of_guest("client left"),
            Ok(()) => {}
        }
        if served {
            self.guard(None);
            self.nobody_has_it();
        }
    }

    /// Takes the device from a client that has left. Its thread is left alone:
    /// it hangs in what the client has sent.
    fn take_back(&mut self) {
        self.leaving = None;
        let holder = self.clients.holder().filter(|client| client.has_left());
        let Some(id) = holder.map(|client| client.id) else {
            return;
        };
        if let Some(client) = self.clients.get(id) {
            if let Phase::Served(held) = &client.phase {
                held.revoke();
            }
            client.stop();
            client.enter(Phase::Ending);
        }
        self.say_of_guest("client left; what it has sent is still being closed");
        self.guard(None);
        self.nobody_has_it();
    }

    /// The first one that waits is served, and others are turned away.
    fn nobody_has_it(&mut self) {
        self.leaving = None;
        self.control.set_connected(false);
        if let Some(id) = self.clients.first_waiting() {
            self.give(id);
        }
        while let Some(id) = self.clients.first_waiting() {
            self.refuse(id);
        }
    }

    /// Ends all clients, in order. Those who wait to be accepted would be
    /// reset, as the socket is closed over them.
    fn end_clients(&mut self) {
        self.listener.stop_listening();
        if let Some(socket) = &*self.control_socket {
            socket.stop_listening();
        }
        while let Ok(Some(stream)) = self.listener.accept() {
            self.ending.end(Connection::new(stream));
        }
        self.clients.stop();
        let since = Instant::now();
        while !self.clients.is_empty() {
            let left = LAST_REPLY.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            if let Ok(true) = is_readable(&*self.news, left) {
                self.hear();
            }
        }
        self.ending
            .finish(LAST_REPLY.saturating_sub(since.elapsed()));
    }

    /// Has the guard hold the client's connection, or nothing any more.
    fn guard(&mut self, client: Option<&UnixStream>) {
        if let Some(guard) = &self.guard
            && guard.hold(client).is_err()
        {
            self.guard_ended();
        }
    }

    /// The guard has a connection to the daemon, or none, or has ended.
    fn hear_guard(&mut self) {
        let found = match self.guard.as_ref().map(Guard::receive) {
            Some(Ok(Some(found))) => found,
            Some(Ok(None)) => return,
            Some(Err(_)) | None => return self.guard_ended(),
        };
        if let Some(search) = &mut self.daemon {
            search.ended(found.is_some());
        }
        if let (Some(shared), Some(link)) = (&self.shared, found) {
            shared.connected(link);
        }
    }

    fn hear_daemon(&mut self) {
        let Some(shared) = &self.shared else { return };
        shared.hear();
    }

    /// Has the guard look for a daemon where it is time to: this process may not.
    fn look_for_daemon(&mut self) {
        let (Some(search), Some(guard)) = (&mut self.daemon, &self.guard) else {
            return;
        };
        if search.is_due() && guard.ask_for_link().is_err() {
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
        if self.clients.holder().is_none()
            && let Some(guard) = self.guard.take()
        {
            guard.end();
        }
    }

    fn say(&self, text: impl Into<String>) {
        self.emulator.log().event(text);
    }

    fn say_of_guest(&self, text: impl Into<String>) {
        self.emulator.log().guest_event(text);
    }
}
