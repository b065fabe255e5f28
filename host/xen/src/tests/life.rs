//! Supervisors that are killed, with all other processes of the emulator, at
//! any step: the next one, or who cleans up, finds what they have left.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use tempfile::TempDir;
use vgpu_device::STATE_SIZE;
use vgpu_pci::Slot;
use xen_dm::DomainId;
use xen_dm::device_model::{MAX_SERVERS, ServerId};

use crate::PlacedDevice;
use crate::error::Error;
use crate::fake::Killed;
use crate::fake::servers::{FakeServers, Server};
use crate::ioreq_server::{self, IoreqServer};
use crate::kept::Kept;
use crate::record::{Devices, RecordFile, Wanted};

const DOMAIN: DomainId = DomainId(5);

/// What outlives processes: Xen, and the files.
struct World {
    xen: FakeServers,
    folder: TempDir,
    wanted: RefCell<Wanted>,
}

fn wanted(slots: &[u8]) -> Wanted {
    let device = |slot: &u8| PlacedDevice {
        slot: Slot::try_from(*slot).unwrap(),
        ..PlacedDevice::default()
    };
    let devices: Vec<_> = slots.iter().map(device).collect();
    Wanted {
        domain: DOMAIN,
        devices: Devices::of(&devices),
        slots: devices.iter().map(|device| device.slot).collect(),
    }
}

impl World {
    fn new() -> Self {
        Self {
            xen: FakeServers::default(),
            folder: tempfile::tempdir().unwrap(),
            wanted: RefCell::new(wanted(&[0x18, 0x19])),
        }
    }

    fn record(&self) -> RecordFile {
        RecordFile::at(self.folder.path().join("record"))
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// Those that are not others'.
    fn ours(&self) -> usize {
        let others = [Server::qemu(), Server::neighbour()];
        let all = self.xen.all();
        all.iter().filter(|it| !others.contains(it)).count()
    }

    /// An emulator starts, answers its guest, and ends; or is killed, after so
    /// many steps. Returns which server it took over, and whether it was killed.
    fn live(&self, steps: Option<usize>) -> (Option<ServerId>, bool) {
        self.xen.steps().kill_after(steps);
        let taken = Cell::new(None);
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let (file, wanted) = (self.record(), self.wanted.borrow());
            let left = IoreqServer::take_over(&self.xen, &file, &wanted, &self.kept())?;
            taken.set(left.as_ref().map(IoreqServer::id));
            let server = match left {
                Some(server) => server,
                None => IoreqServer::make(&self.xen, &file, &wanted, |id| {
                    let states = vec![[0; STATE_SIZE]; wanted.slots.len()];
                    Kept::create(&self.kept(), id, &states)?;
                    Ok(())
                })?,
            };
            // It answers, and a vCPU asks for more.
            let asks = |server: &mut Server| (server.enabled, server.waits) = (true, true);
            let all = self.xen.with(server.id(), |server| {
                asks(server);
                let slots = wanted.slots.iter().map(|slot| u8::from(*slot));
                slots.eq(server.slots.iter().copied())
            });
            assert!(all.unwrap(), "a function is missing");
            assert_eq!(self.ours(), 1);
            server.end(DOMAIN)
        }));
        self.xen.steps().kill_after(None);
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
            Some(record) => ioreq_server::discard(&self.xen, &file, &record, DOMAIN),
            None => Ok(()),
        }
    }

    /// Nothing is left of ours, and nothing is gone of others'.
    fn is_as(&self, others: &[Server]) {
        assert_eq!(self.ours(), 0, "{:?}", self.xen);
        let left = self.xen.all();
        assert_eq!(left.len(), others.len(), "{left:?}");
        assert!(!self.folder.path().join("record").exists());
    }
}

/// A world in which an emulator was killed after so many steps, with these
/// servers of others before that and after; none where it was not killed.
fn killed(steps: usize, before: &[Server], after: &[Server]) -> Option<World> {
    let world = World::new();
    for server in before {
        world.xen.add(server.clone()).unwrap();
    }
    let (_, killed) = world.live(Some(steps));
    for server in after {
        world.xen.add(server.clone()).unwrap();
    }
    killed.then_some(world)
}

/// Others that there may be, before and after the kill.
fn others() -> [(Vec<Server>, Vec<Server>); 5] {
    [
        (vec![], vec![]),
        (vec![Server::qemu()], vec![]),
        (vec![], vec![Server::qemu()]),
        (
            vec![Server::neighbour(), Server::qemu()],
            vec![Server::neighbour()],
        ),
        (vec![Server::qemu(); 7], vec![]),
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
            let Some(world) = killed(first, &[Server::qemu()], &[Server::neighbour()]) else {
                continue;
            };
            world.live(Some(second));
            world.live(None);
            world.is_as(&[Server::qemu(), Server::neighbour()]);
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
    let answered = |world: &World| world.xen.all().iter().any(|server| server.waits);
    let mut worlds = (0..).map(|steps| killed(steps, before, &[]).unwrap());
    worlds.find(answered).unwrap()
}

#[test]
fn what_answered_is_taken_over() {
    let (taken, _) = killed_as_it_answered(&[Server::qemu()]).live(None);
    assert_eq!(taken, Some(ServerId(1)));
}

#[test]
fn for_other_devices_or_without_registers_it_is_not_taken_over() {
    for other in [wanted(&[0x18]), wanted(&[0x18, 0x1a])] {
        let world = killed_as_it_answered(&[Server::qemu()]);
        world.wanted.replace(other);
        let (taken, _) = world.live(None);
        assert_eq!(taken, None);
        world.is_as(&[Server::qemu()]);
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
    let others = other.xen.all().swap_remove(0);
    for server in [Server::qemu(), Server::neighbour(), others] {
        let world = killed_as_it_answered(&[]);
        world.xen.clear();
        world.xen.add(server.clone()).unwrap();
        world.clean_up().unwrap();
        assert_eq!(world.xen.get(0), Some(server));
    }
}

#[test]
fn where_another_is_quicker_it_is_recorded_all_the_same() {
    for steps in 0.. {
        let world = World::new();
        world.xen.overtaken.set(true);
        let (_, killed) = world.live(Some(steps));
        if !killed {
            break;
        }
        let quicker = !world.xen.overtaken.get();
        world.clean_up().unwrap();
        let others = vec![Server::qemu(); usize::from(quicker)];
        // Killed in that very moment, it leaves a server that nobody asks anything.
        if world.ours() == 1 {
            assert_eq!(world.xen.get(1), Some(Server::default()));
        } else {
            world.is_as(&others);
        }
    }
}

#[test]
fn without_room_for_a_server_nothing_is_left() {
    let world = World::new();
    for _ in 0..MAX_SERVERS {
        world.xen.add(Server::qemu()).unwrap();
    }
    let file = world.record();
    let made = IoreqServer::make(&world.xen, &file, &world.wanted.borrow(), |_| Ok(()));
    let error = made.map(drop).unwrap_err().to_string();
    assert!(error.contains("make an ioreq server"), "{error}");
    world.is_as(&vec![Server::qemu(); MAX_SERVERS.into()]);
}

#[test]
fn of_a_domain_that_dies_meanwhile_nothing_is_left() {
    let world = World::new();
    let file = world.record();
    let made = IoreqServer::make(&world.xen, &file, &world.wanted.borrow(), |_| Ok(()));
    world.xen.dying.set(3);
    made.unwrap().end(DOMAIN).unwrap();
    world.is_as(&[]);
}
