//! What capabilities hold beside their registers: reached by type, reset, saved and restored, each by itself.

use vgpu_pci::capability::{
    Capability, CapabilityList, CapabilityState, Express, MOST_STATE, PortType,
};
use vgpu_pci::{Changes, ConfigRegister, ConfigSpace, DwordWrite, Header, PciId, RestoreError};

/// A capability that counts the guest's writes to it, in a state of its own; it once held one byte less.
#[derive(Debug, Default, PartialEq)]
struct Counter {
    writes: u16,
    limit: u8,
}

impl Counter {
    fn count(&self) -> u16 {
        self.writes
    }
}

impl Capability for Counter {
    fn id(&self) -> u8 {
        0x09
    }

    fn registers(&self) -> Vec<ConfigRegister> {
        vec![ConfigRegister::new(0, 0xffff_0000); 2]
    }

    fn written(&mut self, _: usize, _: DwordWrite) -> Changes {
        self.writes += 1;
        Changes::NONE
    }

    fn state(&self) -> Option<&dyn CapabilityState> {
        Some(self)
    }

    fn state_mut(&mut self) -> Option<&mut dyn CapabilityState> {
        Some(self)
    }
}

impl CapabilityState for Counter {
    fn reset(&mut self) {
        *self = Self::default();
    }

    fn size(&self) -> usize {
        3
    }

    fn save(&self, state: &mut [u8]) {
        state[..2].copy_from_slice(&self.writes.to_le_bytes());
        state[2] = self.limit;
    }

    fn accepts(&self, state: &[u8]) -> bool {
        matches!(state, [_, _] | [_, _, 0..100])
    }

    fn restore(&mut self, state: &[u8]) {
        self.writes = u16::from_le_bytes([state[0], state[1]]);
        self.limit = state.get(2).copied().unwrap_or_default();
    }
}

#[derive(Debug)]
struct Three {
    first: Counter,
    express: Option<Express>,
    last: Counter,
}

impl CapabilityList for Three {
    fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
        let express = self.express.as_ref().map(|it| it as _);
        [Some(&self.first as _), express, Some(&self.last as _)]
            .into_iter()
            .flatten()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
        let express = self.express.as_mut().map(|it| it as _);
        [
            Some(&mut self.first as _),
            express,
            Some(&mut self.last as _),
        ]
        .into_iter()
        .flatten()
    }
}

/// Counters at 0x40 and 0x84, and Express at 0x48 between them.
fn three() -> ConfigSpace<Three> {
    let id = PciId::try_from(0x1234).unwrap();
    let header = Header {
        vendor_id: id,
        device_id: id,
        revision: 0,
        class_code: 0x12_0000,
        subsystem_vendor_id: id,
        subsystem_id: id,
    };
    let capabilities = Three {
        first: Counter::default(),
        express: Some(Express::new(PortType::Endpoint)),
        last: Counter::default(),
    };
    ConfigSpace::new(&header, &[], capabilities)
}

/// One write to the first, two to the last, and a value of the device's own.
fn used() -> ConfigSpace<Three> {
    let mut config = three();
    for (offset, value) in [(0x42, 1), (0x88, 2), (0x86, 3)] {
        let _ = config.write(offset, &[value]);
    }
    config.capabilities_mut().last.limit = 7;
    config
}

/// What [`used`] saves: offset, ID, length, state.
const SAVED: [u8; 14] = [0x40, 0x09, 3, 0, 1, 0, 0, 0x84, 0x09, 3, 0, 2, 0, 7];

fn saved(config: &ConfigSpace<Three>) -> Vec<u8> {
    let mut bytes = vec![0; config.capabilities_size()];
    assert!(config.save_capabilities(&mut bytes));
    bytes
}

#[test]
fn the_device_reaches_each_by_its_type() {
    let config = used();
    assert_eq!(config.capabilities().first.count(), 1);
    assert_eq!(config.capabilities().last.count(), 2);
    assert!(config.capabilities().express.is_some());
}

#[test]
fn each_is_reset() {
    let mut config = used();
    let _ = config.reset();
    assert_eq!(config.capabilities().first, Counter::default());
    assert_eq!(config.capabilities().last, Counter::default());
    assert_eq!(config.save(), three().save());
}

#[test]
fn each_is_saved_with_its_length_and_taken_over() {
    let source = used();
    assert_eq!(saved(&source), SAVED);
    for padding in [0, 1, 9] {
        let mut target = three();
        let state = [SAVED.as_slice(), &vec![0; padding]].concat();
        assert!(target.restore(&source.save(), &state).is_ok());
        assert_eq!(saved(&target), SAVED);
        assert_eq!(target.save(), source.save());
    }
}

#[test]
fn what_does_not_fit_is_said() {
    for size in 0..SAVED.len() {
        assert!(!used().save_capabilities(&mut vec![0; size]), "{size}");
    }
}

#[test]
fn an_earlier_form_is_taken_over() {
    let mut target = used();
    let registers = target.save();
    // The first held a byte less, and the last nothing yet.
    let earlier = [0x40, 0x09, 2, 0, 5, 0];
    assert!(target.restore(&registers, &earlier).is_ok());
    assert_eq!(
        target.capabilities().first,
        Counter {
            writes: 5,
            limit: 0
        }
    );
    assert_eq!(target.capabilities().last, Counter::default());
}

#[test]
fn what_one_does_not_accept_changes_nothing() {
    let damaged = RestoreError::Damaged;
    let none = |offset| RestoreError::Capability { offset };
    let wrong: [(&[u8], RestoreError); 9] = [
        (&[0x84, 0x09, 3, 0, 1, 0, 100], none(0x84)),
        (&[0x84, 0x09, 4, 0, 1, 0, 0, 0], none(0x84)),
        (&[0x84, 0x10, 3, 0, 1, 0, 0], none(0x84)),
        (&[0x48, 0x10, 1, 0, 1], none(0x48)),
        (&[0x44, 0x09, 3, 0, 1, 0, 0], none(0x44)),
        (&[0x40, 0x09, 3, 0, 1, 0], damaged),
        (&[0x40, 0x09, 3], damaged),
        (
            &[0x40, 0x09, 3, 0, 1, 0, 0, 0x40, 0x09, 3, 0, 1, 0, 0],
            damaged,
        ),
        (&[0, 0x09, 3, 0, 1, 0, 0], damaged),
    ];
    for (section, error) in wrong {
        // The first could be taken over.
        let all = match section {
            [0x84, ..] => [&SAVED[..7], section].concat(),
            _ => section.to_vec(),
        };
        let mut target = used();
        assert_eq!(
            target.restore(&three().save(), &all),
            Err(error),
            "{all:x?}"
        );
        assert_eq!(saved(&target), SAVED, "{all:x?}");
        assert_eq!(target.save(), used().save(), "{all:x?}");
    }
}

#[test]
#[should_panic(expected = "a capability with 65536 bytes of state")]
fn more_state_than_a_length_can_say_is_a_defect() {
    #[derive(Debug)]
    struct Large;
    impl Capability for Large {
        fn id(&self) -> u8 {
            0x09
        }
        fn registers(&self) -> Vec<ConfigRegister> {
            vec![ConfigRegister::new(0, 0)]
        }
        fn written(&mut self, _: usize, _: DwordWrite) -> Changes {
            Changes::NONE
        }
        fn state(&self) -> Option<&dyn CapabilityState> {
            Some(self)
        }
        fn state_mut(&mut self) -> Option<&mut dyn CapabilityState> {
            Some(self)
        }
    }
    impl CapabilityState for Large {
        fn reset(&mut self) {}
        fn size(&self) -> usize {
            MOST_STATE + 1
        }
        fn save(&self, _: &mut [u8]) {}
        fn accepts(&self, _: &[u8]) -> bool {
            false
        }
        fn restore(&mut self, _: &[u8]) {}
    }
    #[derive(Debug)]
    struct One(Large);
    impl CapabilityList for One {
        fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
            [&self.0 as _].into_iter()
        }
        fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
            [&mut self.0 as _].into_iter()
        }
    }
    let id = PciId::try_from(0x1234).unwrap();
    let header = Header {
        vendor_id: id,
        device_id: id,
        revision: 0,
        class_code: 0,
        subsystem_vendor_id: id,
        subsystem_id: id,
    };
    let _ = ConfigSpace::new(&header, &[], One(Large));
}
