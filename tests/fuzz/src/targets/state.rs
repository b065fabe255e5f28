//! Saved states that somebody damaged, or made up.

use vgpu_device::{Effects, Refused};

use super::given::device;
use super::reference::reference;
use crate::Input;

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (choice, form) = (input.u8(), input.u8());
    let (mut target, port_type, bar0_size) = device(choice);
    // A device in use, which an error must leave as it was.
    let mut bar0 = None;
    for (offset, data) in [(0x10, 0xf100_0000_u32), (0x04, 0x06)] {
        let effects = target.config_write(offset, &data.to_le_bytes());
        effects.bar0.update(&mut bar0);
    }
    let _ = target.bar0_write(0x10, 4, 0x1234);
    let before = target.save();

    let mut made;
    let state: &[u8] = if form & 1 == 0 {
        input.rest()
    } else {
        made = device(choice).0.save();
        while !input.is_empty() {
            let (at, count) = (usize::from(input.u16()) % made.len(), input.u8() % 17);
            let end = made.len().min(at + usize::from(count));
            for (to, from) in made[at..end].iter_mut().zip(input.bytes(end - at)) {
                *to = *from;
            }
        }
        &made
    };

    let Ok(effects) = target.restore(state) else {
        assert_eq!(target.save(), before);
        return;
    };
    effects.bar0.update(&mut bar0);
    // What was taken is what was given, byte for byte.
    assert_eq!(target.save(), state);
    let rules = reference(port_type, bar0_size);
    let mut config = [0xaa; 256];
    target.config_read(0, &mut config);
    for (byte, rule) in config.into_iter().zip(rules) {
        assert_eq!((byte ^ rule.reset) & !rule.writable, 0);
    }
    // The reserved registers are 0, and the host knows where BAR0 is.
    for offset in [0x14, 0x18, 0x1c] {
        assert_eq!(target.bar0_read(offset, 4), Ok(0));
    }
    let start = u64::from(u32::from_le_bytes([
        config[0x10],
        config[0x11],
        config[0x12],
        config[0x13],
    ]));
    let end = start + u64::from(bar0_size);
    let decodes = config[4] & 2 != 0 && start != 0 && end < 1 << 32;
    assert_eq!(bar0, decodes.then_some(start..end));
    // It answers, and can be reset as any device.
    assert_eq!(target.bar0_read(0x11, 4), Err(Refused));
    assert_eq!(target.bar0_write(0x20, 8, u64::MAX), Ok(Effects::default()));
    assert_eq!(target.bar0_read(0x20, 8), Ok(u64::MAX));
    target.reset().bar0.update(&mut bar0);
    assert_eq!(target.save(), device(choice).0.save());
    assert_eq!(bar0, None);
}
