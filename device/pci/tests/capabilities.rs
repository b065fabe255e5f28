//! The capability list as a guest walks it.

use vgpu_pci::capability::{Capability, CapabilityList, CapabilityState, Express, PortType};
use vgpu_pci::{Changes, ConfigRegister, ConfigSpace, DwordWrite, Header, PciId};

/// A capability that reports writes to its second register, and wrongly takes
/// its ID and next pointer for writable.
#[derive(Debug)]
struct Probe {
    dwords: usize,
}

impl Capability for Probe {
    fn id(&self) -> u8 {
        0x09
    }

    fn registers(&self) -> Vec<ConfigRegister> {
        vec![ConfigRegister::new(0xabcd_0000, 0xff00_ffff); self.dwords]
    }

    fn written(&mut self, register: usize, write: DwordWrite) -> Changes {
        if register == 1 && write.enables() == 0xff {
            Changes::FUNCTION_LEVEL_RESET
        } else {
            Changes::NONE
        }
    }

    fn state(&self) -> Option<&dyn CapabilityState> {
        None
    }

    fn state_mut(&mut self) -> Option<&mut dyn CapabilityState> {
        None
    }
}

/// As many of whatever kind as a test wants.
#[derive(Debug)]
struct Any(Vec<Box<dyn Capability>>);

impl CapabilityList for Any {
    fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
        self.0.iter().map(|it| &**it)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
        self.0.iter_mut().map(|it| &mut **it as _)
    }
}

fn config_space(capabilities: Vec<Box<dyn Capability>>) -> ConfigSpace<Any> {
    with(Any(capabilities))
}

fn with<C: CapabilityList>(capabilities: C) -> ConfigSpace<C> {
    let id = PciId::try_from(0x1234).unwrap();
    let header = Header {
        vendor_id: id,
        device_id: id,
        revision: 0,
        class_code: 0x12_0000,
        subsystem_vendor_id: id,
        subsystem_id: id,
    };
    ConfigSpace::new(&header, &[], capabilities)
}

fn read<const N: usize>(config: &ConfigSpace<impl CapabilityList>, offset: u16) -> [u8; N] {
    let mut data = [0; N];
    config.read(offset, &mut data);
    data
}

/// (offset, id) of each capability.
fn walk(config: &ConfigSpace<impl CapabilityList>) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    let [mut at] = read(config, 0x34);
    while at != 0 {
        assert!(found.len() < 48, "the list does not end");
        let [id, next] = read(config, at.into());
        found.push((at, id));
        at = next;
    }
    found
}

#[test]
fn without_capabilities_there_is_no_list() {
    let config = config_space(vec![]);
    assert_eq!(read(&config, 0x06), [0, 0]);
    assert_eq!(walk(&config), []);
}

#[test]
fn capabilities_are_linked_in_order() {
    let config = config_space(vec![
        Box::new(Probe { dwords: 2 }),
        Box::new(Express::new(PortType::Endpoint)),
        Box::new(Probe { dwords: 1 }),
    ]);
    assert_eq!(read(&config, 0x06), [0x10, 0]);
    assert_eq!(walk(&config), [(0x40, 0x09), (0x48, 0x10), (0x84, 0x09)]);
    assert_eq!(read(&config, 0x42), [0xcd, 0xab], "its own bits stay");
}

#[test]
fn id_and_next_pointer_are_read_only() {
    let mut config = config_space(vec![
        Box::new(Probe { dwords: 1 }),
        Box::new(Probe { dwords: 1 }),
    ]);
    for byte in [0xff, 0x00] {
        let _ = config.write(0x40, &[byte; 8]);
        assert_eq!(read(&config, 0x40), [0x09, 0x44, 0xcd, byte]);
        assert_eq!(read(&config, 0x44), [0x09, 0x00, 0xcd, byte]);
    }
}

#[test]
fn a_capability_sees_the_writes_to_its_registers_alone() {
    let mut config = config_space(vec![
        Box::new(Express::new(PortType::Endpoint)),
        Box::new(Probe { dwords: 2 }),
    ]);
    assert_eq!(config.write(0x7c, &[1]), Changes::NONE);
    assert_eq!(config.write(0x80, &[1]), Changes::FUNCTION_LEVEL_RESET);
    assert_eq!(config.write(0x81, &[1]), Changes::NONE);
    assert_eq!(config.write(0x84, &[1]), Changes::NONE);
}

#[test]
#[should_panic(expected = "past the config space")]
fn capabilities_must_fit() {
    let _ = config_space(vec![Box::new(Probe { dwords: 49 })]);
}

#[test]
fn the_last_dword_can_be_used() {
    let config = config_space(vec![Box::new(Probe { dwords: 48 })]);
    assert_eq!(read(&config, 0xfc), [0, 0, 0xcd, 0xab]);
}
