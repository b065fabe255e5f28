//! Supervisors that are killed, with all other processes of the emulator, at
//! any step: the next one, or who cleans up, finds what they have left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use rustix::io::Errno;
use tempfile::TempDir;
use vgpu_device::{DeviceConfig, STATE_SIZE};
use vgpu_pci::Slot;
use xen_dm::DomainId;
use xen_dm::device_model::{MAX_SERVERS, ServerId};

use crate::error::Error;
use crate::fake::Killed;
use crate::ioreq_server::{self, IoreqServer};
use crate::ioreq_servers::{Found, Servers};
use crate::kept::Kept;
use crate::record::{Devices, RecordFile, Wanted};

const DOMAIN: DomainId = DomainId(5);

/// A server as Xen has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Server {
    buffered: bool,
    enabled: bool,
    mark: u64,
    slots: Vec<u8>,
    /// Whether a vCPU waits for its answer.
    waits: bool,
}

/// QEMU's, with a device of its own.
fn qemu() -> Server {
    Server {
        buffered: true,
        enabled: true,
        mark: 0,
        slots: vec![3],
        waits: false,
    }
}

/// Another emulator's, which has no buffered requests either.
fn neighbour() -> Server {
    Server {
        buffered: false,
        ..qemu()
    }
}

/// What outlives processes: Xen, and the files.
struct World {
    servers: RefCell<BTreeMap<u16, Server>>,
    /// Steps until everything is killed.
    steps: Cell<Option<usize>>,
    dead: Cell<bool>,
    /// Somebody else makes a server in the moment before ours.
    overtaken: Cell<bool>,
    /// How often the domain, which dies, still refuses to have a server disabled; its servers are gone then.
    dying: Cell<u32>,
    folder: TempDir,
    wanted: RefCell<Wanted>,
}

fn wanted(slots: &[u8]) -> Wanted {
    let device = |slot: &u8| DeviceConfig {
        slot: Slot::try_from(*slot).unwrap(),
        ..DeviceConfig::default()
    };
    Wanted {
        domain: DOMAIN,
        devices: Devices::of(&slots.iter().map(device).collect::<Vec<_>>()),
        slots: slots.to_vec(),
    }
}

impl World {
    fn new() -> Self {
        Self {
            servers: RefCell::default(),
            steps: Cell::default(),
            dead: Cell::default(),
            overtaken: Cell::default(),
            dying: Cell::default(),
            folder: tempfile::tempdir().unwrap(),
            wanted: RefCell::new(wanted(&[0x18, 0x19])),
        }
    }

    /// Where all processes may be killed. A dead one does nothing any more.
    fn step(&self) -> Result<(), Errno> {
        match self.steps.get() {
            _ if self.dead.get() => return Err(Errno::IO),
            Some(0) => {
                self.dead.set(true);
                resume_unwind(Box::new(Killed));
            }
            Some(steps) => self.steps.set(Some(steps - 1)),
            None => {}
        }
        Ok(())
    }

    fn add(&self, server: Server) -> Result<ServerId, Errno> {
        let mut servers = self.servers.borrow_mut();
        let free = (0..MAX_SERVERS).find(|id| !servers.contains_key(id));
        let id = free.ok_or(Errno::NOSPC)?;
        servers.insert(id, server);
        Ok(ServerId(id))
    }

    fn with<T>(&self, id: ServerId, act: impl FnOnce(&mut Server) -> T) -> Result<T, Errno> {
        self.step()?;
        let done = self.servers.borrow_mut().get_mut(&id.0).map(act);
        self.step()?;
        done.ok_or(Errno::NOENT)
    }

    fn record(&self) -> RecordFile {
        RecordFile::at(self.folder.path().join("record"))
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// Those that are not others'.
    fn ours(&self) -> usize {
        let servers = self.servers.borrow();
        let others = [qemu(), neighbour()];
        servers.values().filter(|it| !others.contains(it)).count()
    }

    /// An emulator starts, answers its guest, and ends; or is killed, after so
    /// many steps. Returns which server it took over, and whether it was killed.
    fn live(&self, steps: Option<usize>) -> (Option<ServerId>, bool) {
        self.steps.set(steps);
        let taken = Cell::new(None);
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let (file, wanted) = (self.record(), self.wanted.borrow());
            let left = IoreqServer::take_over(self, &file, &wanted, &self.kept())?;
            taken.set(left.as_ref().map(IoreqServer::id));
            let server = match left {
                Some(server) => server,
                None => IoreqServer::make(self, &file, &wanted, |id| {
                    let states = vec![[0; STATE_SIZE]; wanted.slots.len()];
                    Kept::create(&self.kept(), id, &states)?;
                    Ok(())
                })?,
            };
            // It answers, and a vCPU asks for more.
            let asks = |server: &mut Server| (server.enabled, server.waits) = (true, true);
            let all = self.with(server.id(), |server| {
                asks(server);
                server.slots == wanted.slots
            });
            assert!(all.unwrap(), "a function is missing");
            assert_eq!(self.ours(), 1);
            server.end(DOMAIN)
        }));
        self.steps.set(None);
        self.dead.set(false);
        match lived {
            Ok(done) => {
                let () = done.unwrap();
                (taken.get(), false)
            }
            Err(panic) if panic.is::<Killed>() => (taken.get(), true),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn clean_up(&self) -> Result<(), Error> {
        let file = self.record();
        match file.read()? {
            Some(record) => ioreq_server::discard(self, &file, &record, DOMAIN),
            None => Ok(()),
        }
    }

    /// Nothing is left of ours, and nothing is gone of others'.
    fn is_as(&self, others: &[Server]) {
        assert_eq!(self.ours(), 0, "{:?}", self.servers);
        let left: Vec<_> = self.servers.borrow().values().cloned().collect();
        assert_eq!(left.len(), others.len(), "{left:?}");
        assert!(!self.folder.path().join("record").exists());
    }
}

impl Servers for World {
    fn look(&self, server: ServerId) -> Result<(), Errno> {
        self.with(server, |_| ())
    }

    fn find(&self, server: ServerId) -> Result<Found, Errno> {
        self.with(server, |server| match server {
            Server { buffered: true, .. } => Found::Buffered,
            Server { mark: 1.., .. } => Found::Marked(server.mark),
            Server { enabled: true, .. } => Found::Used,
            _ => Found::New,
        })
    }

    fn mark(&self, server: ServerId, mark: u64) -> Result<(), Errno> {
        self.with(server, |server| server.mark = mark)
    }

    fn exists(&self, server: ServerId) -> bool {
        self.with(server, |server| server.enabled = true).is_ok()
    }

    fn create(&self) -> Result<ServerId, Errno> {
        self.step()?;
        if self.overtaken.take() {
            self.add(qemu())?;
        }
        let made = self.add(Server::default());
        self.step()?;
        made
    }

    fn map(&self, server: ServerId, slot: u8) -> Result<(), Errno> {
        self.with(server, |server| server.slots.push(slot))
    }

    fn disable(&self, server: ServerId) -> Result<(), Errno> {
        match self.dying.get() {
            0 => {}
            left => {
                if left == 1 {
                    self.servers.borrow_mut().clear();
                }
                self.dying.set(left - 1);
                return Err(Errno::INVAL);
            }
        }
        self.with(server, |server| {
            assert!(!server.buffered, "it is QEMU's");
            server.enabled = false;
        })?;
        self.with(server, |server| server.waits = false)
    }

    fn destroy(&self, server: ServerId) -> Result<(), Errno> {
        self.with(server, |server| assert!(!server.waits, "a vCPU hangs"))?;
        self.servers.borrow_mut().remove(&server.0);
        self.step()
    }
}

/// A world in which an emulator was killed after so many steps, with these
/// servers of others before that and after; none where it was not killed.
fn killed(steps: usize, before: &[Server], after: &[Server]) -> Option<World> {
    let world = World::new();
    for server in before {
        world.add(server.clone()).unwrap();
    }
    let (_, killed) = world.live(Some(steps));
    for server in after {
        world.add(server.clone()).unwrap();
    }
    killed.then_some(world)
}

/// Others that there may be, before and after the kill.
fn others() -> [(Vec<Server>, Vec<Server>); 5] {
    [
        (vec![], vec![]),
        (vec![qemu()], vec![]),
        (vec![], vec![qemu()]),
        (vec![neighbour(), qemu()], vec![neighbour()]),
        (vec![qemu(); 7], vec![]),
    ]
}

#[test]
fn killed_at_any_step_it_is_taken_over_or_made_anew() {
    for (before, after) in others() {
        let all = [&before[..], &after].concat();
        let mut steps = 0;
        let mut taken_over = 0;
        while let Some(world) = killed(steps, &before, &after) {
            let (taken, killed) = world.live(None);
            assert!(!killed);
            taken_over += usize::from(taken.is_some());
            world.is_as(&all);
            steps += 1;
        }
        assert!(steps > 15 && taken_over > 5, "{steps} {taken_over}");
    }
}

#[test]
fn killed_again_in_the_takeover_nothing_is_lost_either() {
    for first in (0..40).step_by(3) {
        for second in 0..40 {
            let Some(world) = killed(first, &[qemu()], &[neighbour()]) else {
                continue;
            };
            world.live(Some(second));
            world.live(None);
            world.is_as(&[qemu(), neighbour()]);
        }
    }
}

#[test]
fn killed_at_any_step_it_can_be_cleaned_up() {
    for (before, after) in others() {
        let all = [&before[..], &after].concat();
        let mut steps = 0;
        while let Some(world) = killed(steps, &before, &after) {
            world.clean_up().unwrap();
            world.is_as(&all);
            world.clean_up().unwrap();
            steps += 1;
        }
    }
}

/// A world in which an emulator was killed that answered its guest.
fn killed_as_it_answered(before: &[Server]) -> World {
    let answered = |world: &World| world.servers.borrow().values().any(|server| server.waits);
    let mut worlds = (0..).map(|steps| killed(steps, before, &[]).unwrap());
    worlds.find(answered).unwrap()
}

#[test]
fn what_answered_is_taken_over() {
    let (taken, _) = killed_as_it_answered(&[qemu()]).live(None);
    assert_eq!(taken, Some(ServerId(1)));
}

#[test]
fn for_other_devices_or_without_registers_it_is_not_taken_over() {
    for other in [wanted(&[0x18]), wanted(&[0x18, 0x1a])] {
        let world = killed_as_it_answered(&[qemu()]);
        world.wanted.replace(other);
        let (taken, _) = world.live(None);
        assert_eq!(taken, None);
        world.is_as(&[qemu()]);
    }
    let world = killed_as_it_answered(&[]);
    std::fs::remove_file(world.kept()).unwrap();
    let (taken, _) = world.live(None);
    assert_eq!(taken, None);
    world.is_as(&[]);
}

/// A record of a domain that is gone, whose number another one has: also where an emulator of this kind has left a server
/// in it.
#[test]
fn another_domain_s_servers_are_left_alone() {
    let other = killed_as_it_answered(&[]);
    let others = other.servers.borrow().values().next().cloned();
    for server in [qemu(), neighbour(), others.unwrap()] {
        let world = killed_as_it_answered(&[]);
        world.servers.borrow_mut().clear();
        world.add(server.clone()).unwrap();
        world.clean_up().unwrap();
        assert_eq!(world.servers.borrow().get(&0), Some(&server));
    }
}

#[test]
fn where_another_is_quicker_it_is_recorded_all_the_same() {
    for steps in 0.. {
        let world = World::new();
        world.overtaken.set(true);
        let (_, killed) = world.live(Some(steps));
        if !killed {
            break;
        }
        let quicker = !world.overtaken.get();
        world.clean_up().unwrap();
        let others = vec![qemu(); usize::from(quicker)];
        // Killed in that very moment, it leaves a server that nobody asks anything.
        if world.ours() == 1 {
            let servers = world.servers.borrow();
            assert_eq!(servers.get(&1), Some(&Server::default()));
        } else {
            world.is_as(&others);
        }
    }
}

#[test]
fn without_room_for_a_server_nothing_is_left() {
    let world = World::new();
    for _ in 0..MAX_SERVERS {
        world.add(qemu()).unwrap();
    }
    let file = world.record();
    let made = IoreqServer::make(&world, &file, &world.wanted.borrow(), |_| Ok(()));
    let error = made.map(drop).unwrap_err().to_string();
    assert!(error.contains("make an ioreq server"), "{error}");
    world.is_as(&vec![qemu(); MAX_SERVERS.into()]);
}

#[test]
fn of_a_domain_that_dies_meanwhile_nothing_is_left() {
    let world = World::new();
    let file = world.record();
    let made = IoreqServer::make(&world, &file, &world.wanted.borrow(), |_| Ok(()));
    world.dying.set(3);
    made.unwrap().end(DOMAIN).unwrap();
    world.is_as(&[]);
}
