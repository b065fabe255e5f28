//! A device with features, by the calls that C makes, and a daemon at the other end of its socket.

use std::ffi::{CString, c_char, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::pwrite;
use vgpu_abi::bar0::{
    ACK, COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, DOORBELLS, DRIVER, EVENTS_ACK, FEATURES, STATE,
    STATUS,
};
use vgpu_abi::features::{SEGMENT_ADDRESS, driver, state};
use vgpu_abi::link::{self, Message};
use vgpu_abi::mailbox::{CHANNEL_OPEN, code, status};
use vgpu_abi::segment::{MAGIC, PAGE};
use vgpu_qemu::*;
use vgpu_socket::PacketListener;

const MIB: u64 = 1 << 20;
const DIRECTORY: u64 = 0x1000;
const MACHINE: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

/// A guest's 4 MiB of memory, as C finds it.
extern "C" fn find(opaque: *mut c_void, address: u64, found: &mut VgpuFound) -> VgpuPresence {
    if address >= 4 * MIB {
        return VgpuPresence::Absent;
    }
    *found = VgpuFound {
        file: opaque.addr() as i32,
        offset: address,
        length: 4 * MIB - address,
    };
    VgpuPresence::Shared
}

fn memory(file: &OwnedFd) -> VgpuMemory {
    VgpuMemory {
        opaque: ptr::without_provenance_mut(file.as_raw_fd() as usize),
        find,
    }
}

/// A device, its guest's memory, and the daemon that serves it.
struct Bed {
    device: Box<VgpuDevice>,
    memory: OwnedFd,
    daemon: OwnedFd,
}

fn device(link: Option<&Path>, machine: Option<&str>) -> Result<Box<VgpuDevice>, String> {
    let text = |text: &str| CString::new(text).unwrap();
    let link = link.map(|path| text(path.to_str().unwrap()));
    let machine = machine.map(text);
    let pointer = |text: &Option<CString>| {
        text.as_ref()
            .map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut())
    };
    let options = VgpuOptions {
        vendor_id: VGPU_VENDOR_ID,
        device_id: VGPU_DEVICE_ID,
        subsystem_vendor_id: VGPU_SUBSYSTEM_VENDOR_ID,
        subsystem_id: VGPU_SUBSYSTEM_ID,
        bar0_size: VGPU_BAR0_SIZE,
        revision: VGPU_REVISION,
        features: true,
        link: pointer(&link),
        machine: pointer(&machine),
        memory_is_shared: true,
        place: VgpuPlace::RootBus,
    };
    let mut error = [0 as c_char; VGPU_ERROR_SIZE];
    vgpu_new(&options, &mut error).ok_or_else(|| {
        let bytes = error.iter().map(|byte| *byte as u8);
        String::from_utf8(bytes.take_while(|byte| *byte != 0).collect()).unwrap()
    })
}

impl Bed {
    /// A driver that runs.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        let listener = PacketListener::bind(&path, 0o600).unwrap();
        let mut device = device(Some(&path), Some(MACHINE)).unwrap();
        let _ = vgpu_connect(&mut device);
        let daemon = listener.accept().unwrap().unwrap();
        let memory = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, 4 * MIB).unwrap();
        let words = [u64::from(MAGIC) | 1 << 32, 0, 2 * MIB];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        pwrite(&memory, &bytes, DIRECTORY).unwrap();
        let mut bed = Self {
            device,
            memory,
            daemon,
        };
        assert_eq!(bed.heard().0.kind, link::ATTACH);
        let ready = Message {
            kind: link::STATE,
            status: 1,
            ..Message::default()
        };
        let _ = bed.says(ready);
        assert_eq!(bed.read(STATE), state::READY);
        // Memory decode and bus master.
        let _ = vgpu_config_write(&mut bed.device, 0x04, 2, 6);
        bed.runs();
        bed
    }

    fn runs(&mut self) {
        let offered = self.read(FEATURES);
        for (register, value) in [
            (DRIVER, driver::PRESENT),
            (ACK, offered),
            (DRIVER, driver::SETTLED),
            (DRIVER, driver::RUN),
        ] {
            let _ = self.write(register, value);
        }
        assert_eq!(self.read(DRIVER), driver::RUN);
    }

    fn read(&mut self, register: u64) -> u32 {
        vgpu_bar0_read(&mut self.device, register, 4, &mut false) as u32
    }

    fn write(&mut self, register: u64, value: u32) -> VgpuTodo {
        vgpu_bar0_write(&mut self.device, register, 4, value.into(), &mut false)
    }

    /// Asks for a channel with a slice of one page.
    fn asks(&mut self) -> VgpuTodo {
        let words = [DIRECTORY as u32, 0, PAGE as u32, 0, 0, 0];
        for (at, word) in (DATA.start..).step_by(4).zip(words) {
            let _ = self.write(at, word);
        }
        let _ = self.write(DATA_OFFSET, DATA.start as u32);
        let _ = self.write(DATA_LENGTH, 24);
        self.write(COMMAND, CHANNEL_OPEN)
    }

    fn works(&mut self) -> VgpuTodo {
        let memory = memory(&self.memory);
        vgpu_work(&mut self.device, Some(&memory))
    }

    /// What the daemon is told next, with how many descriptors.
    fn heard(&self) -> (Message, usize) {
        let (message, files) = vgpu_packet::receive::<Message>(&self.daemon, 16).unwrap();
        (message, files.len())
    }

    fn says(&mut self, message: Message) -> VgpuTodo {
        vgpu_packet::send(&self.daemon, &message, &[]).unwrap();
        vgpu_hear(&mut self.device)
    }

    /// Opens channel 0.
    fn opens(&mut self) {
        assert!(self.asks().work);
        let _ = self.works();
        let (message, files) = self.heard();
        // The list of pieces, doorbell, interrupt, and the memory's file.
        assert_eq!((message.kind, files), (link::OPEN, 4));
        assert!(self.says(done(link::OPEN)).interrupt);
        assert_eq!(self.read(STATUS), status::IDLE | status::DONE);
    }

    fn next_doorbell(&mut self) -> Option<VgpuDoorbell> {
        let mut doorbell = VgpuDoorbell::default();
        vgpu_next_doorbell(&mut self.device, &mut doorbell).then_some(doorbell)
    }
}

fn done(of: u32) -> Message {
    Message {
        kind: link::DONE,
        of,
        ..Message::default()
    }
}

fn is_readable(descriptor: &OwnedFd) -> bool {
    vgpu_poll::is_readable(descriptor, Duration::ZERO).unwrap()
}

#[test]
fn what_is_asked_for_is_done_from_the_main_loop() {
    let mut bed = Bed::new();
    assert!(bed.asks().work);
    assert!(vgpu_is_asked(&bed.device));
    assert!(!is_readable(&bed.daemon), "under the guest's access");
    assert!(!vgpu_is_shared(&bed.device));
    let _ = bed.works();
    assert!(!vgpu_is_asked(&bed.device));
    assert!(is_readable(&bed.daemon));
    // From then on it must not be saved.
    assert!(vgpu_is_shared(&bed.device));
}

#[test]
fn a_machine_that_is_moved_shares_nothing() {
    let mut bed = Bed::new();
    let _ = bed.asks();
    assert!(vgpu_work(&mut bed.device, None).interrupt);
    let refused = u32::from(code::HOST) << status::CODE_SHIFT;
    assert_eq!(
        bed.read(STATUS),
        status::IDLE | status::DONE | status::ERROR | refused
    );
    assert!(!is_readable(&bed.daemon));
    assert!(!vgpu_is_shared(&bed.device));
    let _ = bed.write(EVENTS_ACK, u32::MAX);
    bed.opens();
}

#[test]
fn a_request_is_forgotten_with_its_driver() {
    let mut bed = Bed::new();
    let _ = bed.asks();
    let _ = bed.write(DRIVER, driver::RESET);
    assert!(!vgpu_is_asked(&bed.device));
    let _ = bed.works();
    assert!(!is_readable(&bed.daemon));
    assert_eq!(bed.read(STATE), state::READY);
}

#[test]
fn qemu_has_the_doorbells_of_open_channels() {
    let mut bed = Bed::new();
    assert!(bed.next_doorbell().is_none());
    bed.opens();
    let doorbell = bed.next_doorbell().unwrap();
    assert_eq!((doorbell.channel, doorbell.before), (0, -1));
    assert!(doorbell.after >= 0);
    assert!(bed.next_doorbell().is_none());
    let _ = bed.write(DRIVER, driver::RESET);
    let gone = bed.next_doorbell().unwrap();
    assert_eq!(
        (gone.channel, gone.before, gone.after),
        (0, doorbell.after, -1)
    );
    assert!(bed.next_doorbell().is_none());
    // Another one is told from the last, whatever its number is.
    assert_eq!(bed.heard().0.kind, link::RESET);
    assert!(bed.says(done(link::RESET)).work);
    bed.runs();
    bed.opens();
    assert!(bed.next_doorbell().is_some());
}

#[test]
fn a_machines_reset_waits_for_the_daemon_but_a_drivers_does_not() {
    let mut bed = Bed::new();
    bed.opens();
    let since = Instant::now();
    let _ = vgpu_reset(&mut bed.device, false);
    assert!(since.elapsed() < Duration::from_millis(100));
    assert_eq!(bed.read(STATE), state::RESETTING);
    assert!(vgpu_is_shared(&bed.device));

    let late = Duration::from_millis(200);
    let daemon = bed.daemon.try_clone().unwrap();
    let answer = thread::spawn(move || {
        thread::sleep(late);
        vgpu_packet::send(&daemon, &done(link::RESET), &[]).unwrap();
    });
    let since = Instant::now();
    assert!(!vgpu_reset(&mut bed.device, true).reset, "it is QEMU's own");
    assert!(since.elapsed() >= late / 2);
    assert_eq!(bed.read(STATE), state::READY);
    assert!(!vgpu_is_shared(&bed.device));
    answer.join().unwrap();
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for() {
    let mut bed = Bed::new();
    bed.opens();
    let since = Instant::now();
    let _ = vgpu_reset(&mut bed.device, true);
    let waited = since.elapsed();
    assert!((900..2000).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn memory_that_is_taken_away_is_a_channel_lost() {
    let mut bed = Bed::new();
    bed.opens();
    // None of its pages.
    let todo = vgpu_unmapped(&mut bed.device, 0, 2 * MIB - 1);
    assert!(!todo.work && !todo.interrupt);
    let daemon = bed.daemon.try_clone().unwrap();
    let answer = thread::spawn(move || {
        assert!(vgpu_poll::is_readable(&daemon, Duration::from_secs(5)).unwrap());
        let (message, _) = vgpu_packet::receive::<Message>(&daemon, 16).unwrap();
        assert_eq!(message.kind, link::RESET);
        vgpu_packet::send(&daemon, &done(link::RESET), &[]).unwrap();
    });
    let todo = vgpu_unmapped(&mut bed.device, 2 * MIB, 4 * MIB - 1);
    assert!(todo.work && todo.interrupt);
    answer.join().unwrap();
    assert!(!vgpu_is_shared(&bed.device));
    assert_eq!(bed.read(STATE), state::READY);
}

#[test]
fn a_daemon_that_is_gone_is_watched_until_qemu_knows() {
    let mut bed = Bed::new();
    bed.opens();
    let watched = vgpu_watched(&bed.device);
    assert!(watched >= 0);
    drop(std::mem::replace(
        &mut bed.daemon,
        bed.memory.try_clone().unwrap(),
    ));
    assert!(vgpu_hear(&mut bed.device).interrupt);
    assert_eq!(bed.read(STATE), state::LOST);
    assert_eq!(vgpu_watched(&bed.device), -1);
    let open = || Path::new(&format!("/proc/self/fd/{watched}")).exists();
    assert!(open(), "a number that QEMU watches is another's");
    vgpu_unwatched(&mut bed.device);
    vgpu_detach(&mut bed.device);
    assert_eq!(vgpu_raised(&bed.device), -1);
}

#[test]
fn a_doorbell_that_reaches_the_device_rings() {
    let mut bed = Bed::new();
    bed.opens();
    let doorbell = bed.next_doorbell().unwrap();
    let _ = bed.write(DOORBELLS.start, 1);
    let file = std::fs::File::open(format!("/proc/self/fd/{}", doorbell.after));
    // An eventfd cannot be opened anew: what it counts is in its row.
    assert!(file.is_err());
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", doorbell.after)).unwrap();
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("eventfd-count:"));
    assert_eq!(count.map(str::trim), Some("1"), "{info}");
}

#[test]
fn link_and_machine_are_given_together_and_right() {
    let path = Path::new("/nowhere");
    for (link, machine, reason) in [
        (Some(path), None, "needs the property 'machine'"),
        (None, Some(MACHINE), "needs the property 'link'"),
        (Some(path), Some("a-machine"), "'a-machine' is no UUID"),
    ] {
        let error = device(link, machine).err().unwrap();
        assert!(error.contains(reason), "{error}");
    }
    let mut alone = device(None, None).unwrap();
    let offered = vgpu_bar0_read(&mut alone, FEATURES, 4, &mut false);
    assert_eq!(offered & SEGMENT_ADDRESS, SEGMENT_ADDRESS);
    assert_eq!(vgpu_watched(&alone), -1);
}
