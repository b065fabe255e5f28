//! The process that stands over the one that answers the guest: it makes the
//! ioreq server, starts that process, again where it dies, keeps xenstore in
//! order, and cleans up when the domain is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sd_notify::NotifyState;
use vgpu_device::Device;
use vgpu_emulator::{Log, ending_signals};
use vgpu_pci::capability::PortType;
use vgpu_xen::device_model::{DeviceModel, Range, ServerId};
use vgpu_xen::inherited::pass_on_nothing;
use vgpu_xen::xenstore::Xenstore;

use crate::answer;
use crate::answering::Answering;
use crate::error::{Error, cannot};
use crate::kept::Kept;
use crate::layout::{Folder, Options};
use crate::nodes::{self, Presence};
use crate::server::Server;

/// How often the answering process may die within [`WINDOW`].
const DEATHS: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// How long to wait where the process cannot be started: what it lacks may be
/// there again.
const SHORTAGE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// How often Xen is asked for the domain, where xenstore does not tell.
const LOOK: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How long vCPUs have to take their last answers.
const TAKEN: Duration = Duration::from_millis(100);

/// How long the log may take to write its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Emulates the devices of a domain until it is gone. `serving` is the command
/// that runs [`serve`](crate::serve) with the same options. Says on stdout when
/// the guest is answered, and to systemd.
///
/// # Errors
///
/// If Xen, xenstore or the system refuses what it needs. Nothing is left
/// behind then, but the domain goes on without the device.
pub fn supervise(options: &Options, serving: impl Fn() -> Command) -> Result<(), Error> {
    check_slots(options)?;
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

    let folder = RunFolder::make(options)?;
    let server = IoreqServer::make(&model, options)?;
    let states: Vec<_> = options
        .devices
        .iter()
        .map(|config| Device::new(config, PortType::RootComplexIntegratedEndpoint).save())
        .collect();
    Kept::create(&folder.folder.kept(), server.id, &states)?;
    // A log that is stuck must not hold up a guest whose process has died.
    let log = Log::start("vgpu-stub: ", io::stderr()).map_err(cannot("start a thread"))?;
    let mut supervisor = Supervisor {
        options,
        serving: &serving,
        signalled,
        server,
        store: Some(store),
        presence,
        deaths: Deaths::default(),
        log: log.clone(),
    };
    let result = supervisor.run();
    supervisor.end();
    log.flush(LAST_LINES);
    result
}

fn check_slots(options: &Options) -> Result<(), Error> {
    let slots: Vec<u8> = options.devices.iter().map(|d| d.slot.into()).collect();
    match slots.iter().enumerate().find(|(at, slot)| {
        slots
            .iter()
            .skip(at.saturating_add(1))
            .any(|other| other == *slot)
    }) {
        Some((_, slot)) => Err(Error::SlotTwice(*slot)),
        None => Ok(()),
    }
}

/// The folder of the domain's emulator, of which there is one. It goes with
/// this.
struct RunFolder {
    folder: Folder,
    /// Locked.
    _lock: File,
}

impl RunFolder {
    fn make(options: &Options) -> Result<Self, Error> {
        let folder = Folder::of(options.domain);
        let refused = |source| Error::Folder {
            path: folder.path().to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.path())
            .map_err(refused)?;
        let lock = File::create(folder.path().join("lock")).map_err(refused)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::Busy(options.domain)),
            Err(errno) => return Err(refused(errno.into())),
        }
        // A process that answers on without its supervisor holds this.
        match Kept::discard(&folder.kept()) {
            Ok(true) => Ok(Self {
                folder,
                _lock: lock,
            }),
            Ok(false) => Err(Error::Busy(options.domain)),
            Err(source) => Err(refused(source)),
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder.path());
    }
}

/// The domain's ioreq server for these devices. It goes with this, and no vCPU
/// is left waiting for it.
struct IoreqServer<'a> {
    model: &'a DeviceModel,
    id: ServerId,
}

impl<'a> IoreqServer<'a> {
    fn make(model: &'a DeviceModel, options: &Options) -> Result<Self, Error> {
        let refused = |action| {
            move |source| Error::Xen {
                action,
                domain: options.domain,
                source,
            }
        };
        let id = model
            .create_server()
            .map_err(refused("make an ioreq server"))?;
        let server = Self { model, id };
        for device in &options.devices {
            let slot = device.slot.into();
            model
                .map(id, Range::Pci { slot }, true)
                .map_err(refused("map a PCI function"))?;
        }
        Ok(server)
    }

    /// Whether it exists, which it does no longer once its domain dies.
    fn exists(&self) -> bool {
        self.model.set_enabled(self.id, true).is_ok()
    }
}

impl Drop for IoreqServer<'_> {
    fn drop(&mut self) {
        // Whoever still waits gets what a bus gives without a device. The
        // domain may be gone, and all of it with it.
        if let Ok(mut server) = Server::connect(self.id, self.model.domain()) {
            let _ = self.model.set_enabled(self.id, false);
            answer::drain(&mut server);
            // Xen forgets an answer that a vCPU has not taken when the server goes, and the guest reads 0. A paused guest
            // takes none.
            let deadline = Instant::now().checked_add(TAKEN);
            while server.has_answers() && deadline.is_some_and(|it| Instant::now() < it) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let _ = self.model.destroy_server(self.id);
    }
}

struct Supervisor<'a> {
    options: &'a Options,
    serving: &'a dyn Fn() -> Command,
    /// Readable when a signal asks for the end.
    signalled: UnixStream,
    server: IoreqServer<'a>,
    /// Gone once xenstore has failed: it may have been started again, and know
    /// nothing of the domain any more.
    store: Option<Xenstore>,
    presence: Presence,
    deaths: Deaths,
    log: Log,
}

/// When the answering process died, or failed to start.
#[derive(Default)]
struct Deaths(Vec<Instant>);

impl Deaths {
    /// It has died; what was before [`WINDOW`] counts no more.
    fn died(&mut self, now: Instant) {
        self.0
            .retain(|death| now.saturating_duration_since(*death) < WINDOW);
        self.0.push(now);
    }

    /// It has failed to start after it died. However long that took, all before it count.
    fn failed_to_start(&mut self, now: Instant) {
        self.0.push(now);
    }

    fn are_too_many(&self) -> bool {
        self.0.len() > DEATHS
    }
}

/// Why the supervisor stops waiting.
enum Woken {
    /// Somebody asks for the end, or the domain is gone.
    End,
    /// The answering process has ended.
    Ended,
}

impl Supervisor<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let answering = Answering::start(self.serving)?;
        let result = self.stand_over(answering);
        // The answering process made it, and has no right to remove it.
        let _ = fs::remove_file(&self.options.control);
        result
    }

    fn stand_over(&mut self, mut answering: Answering) -> Result<(), Error> {
        if let Some(store) = &mut self.store {
            let count = self.options.devices.len();
            nodes::make(store, self.options.domain, count).map_err(|source| Error::Xenstore {
                action: "make the device's nodes",
                source,
            })?;
        }
        // Who closed stdout does not want to know, nor does who is no systemd.
        let domain = self.options.domain;
        let _ = writeln!(io::stdout(), "vgpu-stub xen: ready for domain {domain}");
        let _ = io::stdout().flush();
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        loop {
            match self.wait(&answering)? {
                Woken::End => return Ok(()),
                Woken::Ended => {
                    if answering.ended_by_request() {
                        return Ok(());
                    }
                    self.log
                        .event("the process that answers the guest has died; starting another");
                    match self.start_again()? {
                        Some(another) => answering = another,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Starts the process again, unless it dies too often, or fails to start that often, however long each try takes.
    /// None where somebody asks for the end.
    fn start_again(&mut self) -> Result<Option<Answering>, Error> {
        self.deaths.died(Instant::now());
        while !self.deaths.are_too_many() {
            match Answering::start(self.serving) {
                Ok(answering) => return Ok(Some(answering)),
                Err(error) => self.log.event(error.to_string()),
            }
            let mut fds = [PollFd::new(&self.signalled, PollFlags::IN)];
            if poll(&mut fds, Some(&SHORTAGE)).is_ok_and(|ready| ready > 0) {
                return Ok(None);
            }
            self.deaths.failed_to_start(Instant::now());
        }
        Err(Error::GaveUp(self.options.domain))
    }

    fn wait(&mut self, answering: &Answering) -> Result<Woken, Error> {
        loop {
            let mut fds = [
                PollFd::new(&self.signalled, PollFlags::IN),
                PollFd::new(answering, PollFlags::empty()),
                // Where there is none, one more of another.
                match &self.store {
                    Some(store) => PollFd::from_borrowed_fd(store.as_fd(), PollFlags::IN),
                    None => PollFd::new(&self.signalled, PollFlags::empty()),
                },
            ];
            if !self.store.as_ref().is_some_and(Xenstore::has_event) {
                match poll(&mut fds, self.store.is_none().then_some(&LOOK)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err(cannot("wait for events")(errno)),
                }
            }
            let [signalled, ended, changed] = fds.map(|fd| !fd.revents().is_empty());
            if signalled || !self.is_there(changed) {
                return Ok(Woken::End);
            }
            if ended {
                return Ok(Woken::Ended);
            }
        }
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
        let there = store
            .next_event()
            .and_then(|_| self.presence.is_there(store));
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
        drop(server);
        let removed = match store.map_or_else(Xenstore::connect, Ok) {
            Ok(mut store) => nodes::remove(&mut store, options.domain, options.devices.len()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = removed {
            log.event(format!("cannot clean up in xenstore: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process takes that hangs as it starts.
    const SLOWLY: Duration = Duration::from_millis(5500);

    #[test]
    fn deaths_now_and_then_are_no_reason_to_give_up() {
        let mut deaths = Deaths::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            deaths.died(now);
            assert!(!deaths.are_too_many());
            now += SLOWLY;
        }
        for _ in 0..DEATHS {
            deaths.died(now);
        }
        assert!(deaths.are_too_many());
    }

    #[test]
    fn failures_in_a_row_are_however_slow() {
        let mut deaths = Deaths::default();
        let mut now = Instant::now();
        deaths.died(now);
        for _ in 0..DEATHS {
            assert!(!deaths.are_too_many());
            now += SLOWLY;
            deaths.failed_to_start(now);
        }
        assert!(deaths.are_too_many());
    }
}
