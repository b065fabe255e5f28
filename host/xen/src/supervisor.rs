//! The process that stands over the one that answers the guest: it makes the
//! ioreq server, or takes over one that was left, starts that process, again
//! where it dies, keeps xenstore in order, and cleans up when the domain is
//! gone.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use vgpu_device::Device;
use vgpu_inherited_fds::pass_on_nothing;
use vgpu_pci::capability::PortType;
use vgpu_poll::{Poll, is_readable};
use vgpu_runtime::{Log, ending_signals};
use vgpu_service_manager::{ServiceManager, State};
use vgpu_socket::Listener;
use xen_dm::device_model::DeviceModel;
use xen_dm::xenstore::Xenstore;

use crate::clean_up::clean_up_gone;
use crate::deaths::Deaths;
use crate::error::{Error, cannot};
use crate::ioreq_server::IoreqServer;
use crate::kept::Kept;
use crate::layout::Options;
use crate::nodes::{Nodes, Presence};
use crate::placement::all_differ;
use crate::record::{Devices, RecordFile, Wanted};
use crate::run_folder::RunFolder;
use crate::serving_process::{End, News, ServingProcess};

/// How long to wait where the process cannot be started: what it lacks may be
/// there again.
const SHORTAGE: Duration = Duration::from_millis(500);

/// How often Xen is asked for the domain, where xenstore does not tell.
const LOOK: Duration = Duration::from_secs(5);

/// Emulates the devices of a domain until it is gone. `command` gives the command
/// that runs [`serve`](crate::serve) with the same options. Says on stdout when
/// the guest is answered, and to systemd.
///
/// Where an emulator of the same devices was killed with all its processes,
/// this one goes on where that was, with all registers.
///
/// # Errors
///
/// If Xen, xenstore or the system refuses what it needs. Nothing is left
/// behind then, but the domain goes on without the device.
pub fn supervise(options: &Options, command: impl Fn() -> Command) -> Result<(), Error> {
    let slots: Vec<_> = options.devices.iter().map(|device| device.slot).collect();
    all_differ(&slots)?;
    // What a toolstack leaves open is none of the other process's business.
    pass_on_nothing().map_err(cannot("look at the open files"))?;
    let signalled = ending_signals().map_err(cannot("handle signals"))?;
    let model = DeviceModel::open(options.domain).map_err(Error::NoXen)?;
    model.restrict().map_err(cannot("restrict a handle"))?;
    let mut store = Xenstore::connect().map_err(Error::NoXenstore)?;
    let in_xenstore = |action| move |source| Error::Xenstore { action, source };
    let mut presence = Presence::of(options.domain);
    presence
        .watch(&mut store)
        .map_err(in_xenstore("watch for the domain's end"))?;
    let there = presence.is_there(&mut store);
    if !there.map_err(in_xenstore("look for the domain"))? {
        return Err(Error::NoDomain(options.domain));
    }
    let wanted = Wanted {
        domain: options.domain,
        devices: Devices::of(&options.devices),
        slots,
    };

    let folder = RunFolder::lock(options.domain)?;
    let record = RecordFile::at(folder.files().record());
    let kept = folder.files().kept();
    let left = IoreqServer::take_over(&model, &record, &wanted, &kept)?;
    let has_left = left.is_some();
    let server = match left {
        Some(server) => server,
        None => IoreqServer::make(&model, &record, &wanted, |id| {
            Kept::create(&kept, id, &new_states(options))?;
            Ok(())
        })?,
    };
    // A log that is stuck must not hold up a guest whose process has died.
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    if has_left {
        log.event("an emulator of this domain was killed; this one goes on with its registers");
    }
    clean_up_gone(&mut store, nodes(options));
    let mut supervisor = Supervisor {
        options,
        command: &command,
        signalled,
        server,
        store: Some(store),
        presence,
        deaths: Deaths::default(),
        log: log.clone(),
    };
    let result = supervisor.run();
    supervisor.end();
    log.flush(Log::LAST_LINES);
    result
}

fn nodes(options: &Options) -> Nodes {
    Nodes {
        domain: options.domain,
        backend: options.backend,
    }
}

/// The registers of devices that nobody has touched.
fn new_states(options: &Options) -> Vec<[u8; vgpu_device::STATE_SIZE]> {
    let configs = options.devices.iter().map(|device| &device.config);
    let devices =
        configs.map(|config| Device::new(config, PortType::RootComplexIntegratedEndpoint));
    devices.map(|device| device.save()).collect()
}

struct Supervisor<'a> {
    options: &'a Options,
    command: &'a dyn Fn() -> Command,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    server: IoreqServer<'a, DeviceModel>,
    /// Gone once xenstore has failed: it may have been started again, and know
    /// nothing of the domain any more.
    store: Option<Xenstore>,
    presence: Presence,
    deaths: Deaths,
    log: Log,
}

/// What the supervisor waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A signal asks for the end.
    Signal,
    /// The serving process has something to say, or has ended.
    Serving,
    /// Something has changed in xenstore.
    Xenstore,
}

/// Why the supervisor stops waiting.
enum Woken {
    /// Somebody asks for the end, or the domain is gone.
    End,
    /// The serving process answers.
    Ready,
    /// The serving process has ended, or does not get ready.
    Ended,
}

impl Supervisor<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let result = self.stand_over();
        // The serving process has left its socket, which it had no right to remove. Who takes the path removes it at the
        // end, unless it is another's.
        drop(Listener::bind(
            &self.options.control,
            vgpu_control::Server::SOCKET_MODE,
        ));
        result
    }

    fn stand_over(&mut self) -> Result<(), Error> {
        let mut process = ServingProcess::start(self.command)?;
        let mut announced = false;
        loop {
            match self.wait(&mut process)? {
                Woken::End => return Ok(()),
                Woken::Ready if announced => {}
                Woken::Ready => {
                    self.announce()?;
                    announced = true;
                }
                Woken::Ended => {
                    match process.end() {
                        End::Asked => return Ok(()),
                        End::Failed(error) if !announced => return Err(error),
                        End::Died => {
                            self.log.event(
                                "the process that answers the guest has died; starting another",
                            );
                            self.deaths.died(Instant::now());
                        }
                        End::Failed(error) => {
                            if self.failed(&error) {
                                return Ok(());
                            }
                        }
                    }
                    match self.start_again()? {
                        Some(another) => process = another,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Says that the guest is answered.
    fn announce(&mut self) -> Result<(), Error> {
        let domain = self.options.domain;
        if let Some(store) = &mut self.store {
            let nodes = nodes(self.options);
            let made = match nodes.are_there(store) {
                Ok(true) => Ok(()),
                Ok(false) => nodes.make(store, self.options.devices.len()),
                Err(error) => Err(error),
            };
            made.map_err(|source| Error::Xenstore {
                action: "make the device's nodes",
                source,
            })?;
        }
        // Who closed stdout does not want to know, nor does who is no systemd.
        let _ = writeln!(io::stdout(), "vgpu-stub xen: ready for domain {domain}");
        let _ = io::stdout().flush();
        ServiceManager::connect().tell(State::Ready);
        Ok(())
    }

    /// Starts the process again, unless it dies too often, or fails to start that often, however long each try takes.
    /// None where somebody asks for the end.
    fn start_again(&mut self) -> Result<Option<ServingProcess>, Error> {
        while !self.deaths.are_too_many() {
            match ServingProcess::start(self.command) {
                Ok(process) => return Ok(Some(process)),
                Err(error) => {
                    if self.failed(&error) {
                        return Ok(None);
                    }
                }
            }
        }
        Err(Error::GaveUp(self.options.domain))
    }

    /// It has failed to start. Waits a moment before the next try; returns whether somebody asks for the end.
    fn failed(&mut self, error: &Error) -> bool {
        self.log.event(error.to_string());
        let asked = is_readable(&self.signalled, SHORTAGE).unwrap_or(false);
        self.deaths.failed_to_start(Instant::now());
        asked
    }

    fn wait(&mut self, process: &mut ServingProcess) -> Result<Woken, Error> {
        loop {
            let poll = Poll::new()
                .readable(Source::Signal, &self.signalled)
                .readable(Source::Xenstore, self.store.as_ref());
            let ready = process
                .add_to(poll, Source::Serving)
                .wait(self.limit(process))
                .map_err(cannot("wait for events"))?;
            let is_ready = |source| ready.contains(&source);
            if is_ready(Source::Signal) || !self.is_there(is_ready(Source::Xenstore)) {
                return Ok(Woken::End);
            }
            match process.news(is_ready(Source::Serving)) {
                News::None => {}
                News::Ready => return Ok(Woken::Ready),
                News::End => return Ok(Woken::Ended),
            }
        }
    }

    /// How long to wait at most; without end where something else will tell.
    fn limit(&self, process: &ServingProcess) -> Option<Duration> {
        if self.store.as_ref().is_some_and(Xenstore::has_event) {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let late = process
            .deadline()
            .map(|deadline| deadline.saturating_duration_since(now));
        let look = self.store.is_none().then_some(LOOK);
        late.into_iter().chain(look).min()
    }

    /// Whether the domain is there: by xenstore where that is `readable` or
    /// has told something already, by Xen where xenstore has failed.
    fn is_there(&mut self, readable: bool) -> bool {
        let Some(store) = &mut self.store else {
            return self.server.exists();
        };
        if !readable && !store.has_event() {
            return true;
        }
        let there = match store.next_event(Some(Duration::ZERO)) {
            Ok(Some(_)) => self.presence.is_there(store),
            // A part of it has come.
            Ok(None) => Ok(true),
            Err(error) => Err(error),
        };
        there.unwrap_or_else(|error| {
            self.store = None;
            self.log.event(format!(
                "xenstore: {error}; asking Xen for the domain from now on"
            ));
            true
        })
    }

    /// Leaves nothing behind. A vCPU may wait for the server, and xenstore may
    /// take its time.
    fn end(self) {
        let Self {
            options,
            server,
            store,
            log,
            ..
        } = self;
        let domain = options.domain;
        if let Err(error) = server.end(domain) {
            log.event(format!(
                "{error}; try again by: vgpu-stub xen --domid {domain} --clean-up"
            ));
        }
        let removed = match store.map_or_else(Xenstore::connect, Ok) {
            Ok(mut store) => nodes(options).remove(&mut store),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = removed {
            log.event(format!("cannot clean up in xenstore: {error}"));
        }
    }
}
