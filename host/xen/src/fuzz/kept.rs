//! The file of kept registers, as somebody else may have left it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::ftruncate;
use rustix::io::Errno;
use vgpu_device::STATE_SIZE;
use vgpu_pci::Slot;
use vgpu_runtime::{Emulator, Keep};
use xen_dm::device_model::ServerId;
use xen_dm::ioreq::{Kind, Request};

use super::memory_file::memory_file;
use super::script::Script;
use crate::fake::devices::{LOG, SLOTS, new_device, restored};
use crate::fake::page::SharedPage;
use crate::fake::{Domain, Fake, Guest};
use crate::kept::Kept;
use crate::machine::{Machine, Placed};
use crate::mapping::{Journal, Mapping};

thread_local! {
    static FILE: (File, PathBuf) = memory_file();
    static PAGE: Arc<SharedPage> = Arc::new(SharedPage::new());
}

const HEAD: usize = 16;
/// Two ranges, then the state.
const ENTRY: usize = 32 + STATE_SIZE;

pub fn run(bytes: &[u8]) {
    FILE.with(|(file, path)| {
        let mut script = Script(bytes);
        let contents = match script.u8() {
            0 => script.0.to_vec(),
            devices => damaged(path, file, usize::from(devices) % 3, script),
        };
        ftruncate(file, 0).unwrap();
        file.write_all_at(&contents, 0).unwrap();
        check(file, path, &contents);
    });
}

/// A file of this program's, with some bytes of other values.
fn damaged(path: &Path, file: &File, devices: usize, mut script: Script<'_>) -> Vec<u8> {
    let state = new_device(SLOTS[0]).save();
    drop(Kept::create(path, ServerId(1), &vec![state; devices]).unwrap());
    let mut contents = whole(file);
    while !script.is_over() {
        let (at, count) = (usize::from(script.u16()), usize::from(script.u8() % 33));
        match contents.get_mut(at..at + count) {
            Some(place) => {
                let bytes = script.bytes(count);
                place[..bytes.len()].copy_from_slice(bytes);
            }
            // A file that was cut, or has grown.
            None => contents.resize(at.min(8192), 0xee),
        }
    }
    contents
}

fn whole(file: &File) -> Vec<u8> {
    let mut contents = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut contents, 0).unwrap();
    contents
}

fn check(file: &File, path: &Path, contents: &[u8]) {
    let opened = Kept::open(path);
    assert_eq!(whole(file), contents, "looking at it changed it");
    let devices = match contents.get(..HEAD) {
        Some(head) => usize::from(u16::from_le_bytes([head[10], head[11]])),
        None => 0,
    };
    let sound = contents.starts_with(b"vgpuxen1") && contents.len() == HEAD + devices * ENTRY;
    assert_eq!(opened.is_ok(), sound);
    let Ok((kept, server)) = opened else {
        return;
    };
    assert_eq!(server.0.to_le_bytes(), contents[8..10]);

    let mut placed = Vec::new();
    let mut left = Vec::new();
    for index in 0..devices {
        let entry = HEAD + index * ENTRY;
        let (state, mapping) = kept.device(index);
        assert_eq!(state, contents[entry + 32..entry + ENTRY]);
        let Some((device, told)) = restored(SLOTS[0], &state) else {
            return;
        };
        // What is taken is what is there.
        assert_eq!(device.save(), state);
        let emulator = Arc::new(Emulator::new(device, false, LOG.clone()));
        let slot = Slot::try_from(SLOTS[0] + index as u8 % 8).unwrap();
        let journal = Box::new(kept.keeper(index));
        placed.push(Placed::new(slot, emulator, told, journal));
        left.push(mapping);
    }
    // What goes on from it answers, and has no more than one range a device.
    let page = PAGE.with(Arc::clone);
    let mut xen = Fake::with_guest(Domain::new(page, 0, kept.clone()), Idle);
    let mut machine = Machine::new(placed);
    machine.take_over(&mut xen, &left);
    assert!(xen.world().domain.ranges().as_slice().len() <= devices);
    let read = machine.emulate(
        &mut xen,
        &Request {
            kind: Kind::PciConfig,
            address: u64::from(SLOTS[0]) << 35,
            data: 0,
            count: 1,
            size: 4,
            read: true,
            data_is_pointer: false,
            backwards: false,
        },
    );
    let found = if devices > 0 {
        0x1111_1af4
    } else {
        0xffff_ffff
    };
    assert_eq!(read.map(|value| value & 0xffff_ffff), Some(found));

    // What one device keeps is in its own place alone.
    if let Some(last) = devices.checked_sub(1) {
        let before = whole(file);
        let mut keeper = kept.keeper(last);
        keeper.keep(0, &[0xa5; STATE_SIZE]);
        keeper.note(&Mapping {
            old: Some(1..2),
            new: Some(3..4),
        });
        let after = whole(file);
        let own = HEAD + last * ENTRY;
        assert_eq!(before[..own], after[..own]);
        assert!(after[own + 32..].iter().all(|byte| *byte == 0xa5));
        assert_eq!(kept.device(last).1.new, Some(3..4));
    }
}

/// A guest that does nothing.
struct Idle;

impl Guest for Idle {
    fn events(&mut self, _: &mut Domain, _: &mut Vec<usize>) -> Result<(), Errno> {
        Err(Errno::CANCELED)
    }
}
