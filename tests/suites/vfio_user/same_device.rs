//! One device, whatever the way in: QEMU's own `vgpu-stub` and the server's,
//! side by side, give the same answers to the same accesses.

use anyhow::Result;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use vgpu_abi::bar0::MSIX_TABLE;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::machine::MachineBuilder;
use vgpu_conformance::{Identity, Target};

use crate::bed::{Bed, Served, identity};
use crate::common::{HOME, Place, QtestTarget, SPARE, environment};

const COMMAND: u16 = 0x04;
const MEMORY_SPACE: u32 = 1 << 1;
const BAR0: u16 = 0x10;
const DEVICE_CONTROL: u16 = 0x48;
const INITIATE_FLR: u32 = 1 << 15;
const MSIX_CONTROL: u16 = 0x7e;

/// What is done to both. Accesses are aligned; BAR0 is moved, switched and
/// reset by steps of their own, so that accesses to it hit it.
#[derive(Debug, Clone, Copy)]
enum Step {
    ConfigRead {
        offset: u16,
        size: usize,
    },
    ConfigWrite {
        offset: u16,
        size: usize,
        value: u32,
    },
    Bar0Read {
        offset: u64,
        size: usize,
    },
    Bar0Write {
        offset: u64,
        size: usize,
        value: u64,
    },
    Place {
        address: u32,
    },
    Reset,
}

/// Of a device with features, much of what is done goes to those.
fn steps(features: bool) -> impl Strategy<Value = Step> {
    let config = (0u32..3, 0u16..0x100).prop_map(|(log, at)| (at & !((1 << log) - 1), 1 << log));
    let bar0 = move || {
        let registers = if features { 0x400u64..0x440 } else { 0..0x20 };
        let offset = prop_oneof![
            2 => 0u64..0x20,
            2 => registers,
            4 => 0u64..0x400,
            1 => 0u64..0x1000
        ];
        (0u32..4, offset).prop_map(|(log, at)| (at & !((1 << log) - 1), 1usize << log))
    };
    let value = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    prop_oneof![
        4 => config.clone().prop_map(|(offset, size)| Step::ConfigRead { offset, size }),
        8 => (config, value()).prop_filter_map("moves BAR0 or resets", |((offset, size), value)| {
            let value = value as u32;
            match offset & !3 {
                BAR0 => None,
                // Memory decode stays on; the reset bit stays off.
                COMMAND if offset == COMMAND => Some((offset, size, value | MEMORY_SPACE)),
                DEVICE_CONTROL => Some((offset, size, value & 0x7f7f_7f7f)),
                _ => Some((offset, size, value)),
            }
            .map(|(offset, size, value)| Step::ConfigWrite { offset, size, value })
        }),
        4 => bar0().prop_map(|(offset, size)| Step::Bar0Read { offset, size }),
        8 => (bar0(), value())
            .prop_map(|((offset, size), value)| Step::Bar0Write { offset, size, value }),
        1 => prop_oneof![Just(HOME), Just(SPARE)].prop_map(|address| Step::Place { address }),
        1 => Just(Step::Reset),
    ]
}

/// Both devices in their machines.
struct Pair {
    built_in: QtestTarget,
    served: QtestTarget,
    identity: Identity,
}

impl Pair {
    fn new(
        bed: &Bed,
        firmware: &Firmware,
        served: &Served,
        place: Place,
        features: bool,
    ) -> Result<Self> {
        let qemu = environment("VGPU_STUB_QEMU")?;
        let machine = MachineBuilder::new(&qemu, place.machine(), firmware);
        let switch = if features { "on" } else { "off" };
        let machine = place
            .port()
            .into_iter()
            .fold(machine, MachineBuilder::device)
            .device(&format!("vgpu-stub,{},features={switch}", place.bus()))
            .shared_memory()
            .qtest()
            .start()?;
        let other = bed.machine(served, place).qtest().start()?;
        Ok(Self {
            built_in: QtestTarget::new(machine, place)?,
            served: QtestTarget::new(other, place)?,
            identity: Identity {
                features,
                ..identity(place)
            },
        })
    }

    fn both<T>(
        &mut self,
        mut act: impl FnMut(&mut QtestTarget) -> Result<T, vgpu_conformance::Error>,
    ) -> Result<(T, T)> {
        Ok((act(&mut self.built_in)?, act(&mut self.served)?))
    }

    fn take(&mut self, step: Step) -> Result<()> {
        match step {
            // QEMU lays the table of a device that it reaches by vfio over the device's, and resets it at other times.
            Step::Bar0Read { offset, .. } | Step::Bar0Write { offset, .. }
                if self.identity.features && offset >= MSIX_TABLE.start => {}
            Step::ConfigRead { offset, size } => {
                let (built_in, served) = self.both(|device| device.config_read(offset, size))?;
                let lane = 8 * u32::from(offset & 3);
                let compared = !self.emulated(offset & !3, false) >> lane;
                assert_eq!(served & compared, built_in & compared, "{step:x?}");
            }
            Step::ConfigWrite {
                offset,
                size,
                value,
            } => {
                self.both(|device| device.config_write(offset, size, value))?;
            }
            Step::Bar0Read { offset, size } => {
                let (built_in, served) = self.both(|device| device.bar0_read(offset, size))?;
                assert_eq!(served, built_in, "{step:x?}");
            }
            Step::Bar0Write {
                offset,
                size,
                value,
            } => {
                self.both(|device| device.bar0_write(offset, size, value))?;
            }
            Step::Place { address } => self.place(address)?,
            // The server's has the register still, though in no list.
            Step::Reset if self.identity.port_type.is_none() => {}
            Step::Reset => {
                self.both(|device| device.config_write(DEVICE_CONTROL, 2, INITIATE_FLR))?;
                self.config_is_equal(true)?;
                if self.identity.features {
                    self.both(|device| device.config_write(MSIX_CONTROL, 2, 0))?;
                }
                self.place(HOME)?;
            }
        }
        Ok(())
    }

    /// Moves BAR0 while memory decode is off.
    fn place(&mut self, address: u32) -> Result<()> {
        self.both(|device| device.config_write(COMMAND, 2, 0))?;
        self.both(|device| device.config_write(BAR0, 4, u32::MAX))?;
        self.config_is_equal(false)?;
        self.both(|device| device.config_write(BAR0, 4, address))?;
        self.both(|device| device.config_write(COMMAND, 2, MEMORY_SPACE))?;
        self.config_is_equal(false)
    }

    fn config_is_equal(&mut self, after_reset: bool) -> Result<()> {
        for offset in (0..0x100).step_by(4) {
            let (built_in, served) = self.both(|device| device.config_read(offset, 4))?;
            let compared = !self.emulated(offset, after_reset);
            assert_eq!(
                served & compared,
                built_in & compared,
                "config + {offset:#x}, compared bits {compared:#x}"
            );
        }
        Ok(())
    }

    /// The bits of a dword that QEMU emulates, so that they may differ.
    fn emulated(&self, offset: u16, after_reset: bool) -> u32 {
        self.identity
            .emulated()
            .filter(|bits| bits.offset == offset)
            .filter(|bits| after_reset || !matches!(bits.answer, vgpu_conformance::Answer::Copy))
            .fold(0, |mask, bits| mask | bits.bits)
    }
}

fn side_by_side(place: Place) -> Result<()> {
    are_the_same(place, false)
}

fn are_the_same(place: Place, features: bool) -> Result<()> {
    let bed = Bed::new()?;
    let switch = if features {
        "features=on"
    } else {
        "features=off"
    };
    let served = bed.serve(&["--device", switch])?;
    let mut pair = Pair::new(&bed, &bed.seabios()?, &served, place, features)?;
    pair.config_is_equal(false)?;
    // The same steps in each run.
    let mut runner = TestRunner::deterministic();
    for _ in 0..1500 {
        let step = steps(features)
            .new_tree(&mut runner)
            .expect("a step")
            .current();
        pair.take(step)?;
    }
    pair.config_is_equal(false)?;
    let counters = served.counters()?;
    assert!(
        counters.bar0_reads > 100 && counters.refused_reads > 10,
        "{counters:?}"
    );
    Ok(())
}

#[test]
fn with_features_on_pc() -> Result<()> {
    are_the_same(Place::Pc, true)
}

#[test]
fn with_features_on_q35() -> Result<()> {
    are_the_same(Place::Q35, true)
}

#[test]
fn on_pc() -> Result<()> {
    side_by_side(Place::Pc)
}

#[test]
fn on_q35() -> Result<()> {
    side_by_side(Place::Q35)
}

#[test]
fn behind_a_root_port() -> Result<()> {
    side_by_side(Place::RootPort)
}

#[test]
fn below_a_bridge_of_pc() -> Result<()> {
    side_by_side(Place::PcBridge)
}

#[test]
fn below_a_bridge_of_q35() -> Result<()> {
    side_by_side(Place::Q35Bridge)
}
