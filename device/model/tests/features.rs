//! A device with features, as a driver meets it.

use vgpu_abi::bar0::{
    ABI, ABI_VERSION, ACK, COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, DOORBELLS, DRIVER, EVENTS,
    EVENTS_ACK, FEATURES, GENERATION, MAGIC, MAGIC_VALUE, MSIX_TABLE, REQUEST_ID, STATE, STATUS,
};
use vgpu_abi::features::{MSIX, SEGMENT_ADDRESS, driver, event, state};
use vgpu_abi::mailbox::{self, code, status};
use vgpu_device::{Device, DeviceConfig, Effects, FeaturesConfig, HostState, Refused, Task};
use vgpu_pci::capability::PortType;

fn device() -> Device {
    let config = DeviceConfig {
        features: Some(FeaturesConfig::default()),
        ..DeviceConfig::default()
    };
    let mut device = Device::new(&config, PortType::RootComplexIntegratedEndpoint);
    // Memory decode and bus mastering.
    let _ = device.config_write(4, &[6, 0]);
    device
}

fn read(device: &Device, offset: u64) -> u32 {
    device.bar0_read(offset, 4).unwrap() as u32
}

fn write(device: &mut Device, offset: u64, value: u32) -> Effects {
    device.bar0_write(offset, 4, value.into()).unwrap()
}

/// A driver that runs, and a host that is ready.
fn running() -> Device {
    let mut device = device();
    let _ = device.set_host_state(HostState::Ready, 0);
    let _ = write(&mut device, DRIVER, driver::PRESENT);
    let _ = write(&mut device, ACK, (SEGMENT_ADDRESS | MSIX) as u32);
    let _ = write(&mut device, DRIVER, driver::SETTLED);
    let _ = write(&mut device, DRIVER, driver::RUN);
    device
}

fn command(device: &mut Device, command: u32, parameters: &[u8]) -> Effects {
    for (offset, byte) in (0x80..).zip(parameters) {
        let _ = device.bar0_write(offset, 1, (*byte).into()).unwrap();
    }
    let _ = write(device, DATA_OFFSET, 0x80);
    let _ = write(device, DATA_LENGTH, parameters.len() as u32);
    let _ = write(device, REQUEST_ID, 0x1234);
    write(device, COMMAND, command)
}

fn failure(device: &Device) -> Option<u16> {
    let status = read(device, STATUS);
    assert_eq!(status & 3, status::IDLE | status::DONE);
    (status & status::ERROR != 0).then_some((status >> status::CODE_SHIFT) as u16)
}

#[test]
fn without_features_there_is_nothing_of_them() {
    let mut device = Device::new(
        &DeviceConfig::default(),
        PortType::RootComplexIntegratedEndpoint,
    );
    for offset in (0x400..0x1000).step_by(4) {
        assert_eq!(device.bar0_read(offset, 4), Err(Refused));
        assert_eq!(device.bar0_write(offset, 4, 1), Err(Refused));
    }
    assert_eq!(device.save_features(), None);
    assert_eq!(
        device.set_host_state(HostState::Ready, 0),
        Effects::default()
    );
    assert_eq!(device.memory_lost(), Effects::default());
    let mut next = [0];
    device.config_read(0x41, &mut next);
    assert_eq!(next, [0], "the last capability");
}

#[test]
fn a_driver_finds_features_and_settles_them() {
    let mut device = device();
    assert_eq!(read(&device, MAGIC), MAGIC_VALUE);
    assert_eq!(read(&device, ABI), ABI_VERSION);
    assert_eq!(u64::from(read(&device, FEATURES)), SEGMENT_ADDRESS | MSIX);
    let mut capability = [0; 12];
    device.config_read(0x7c, &mut capability);
    assert_eq!(capability[..4], [0x11, 0, 1, 0]);
    // One step at a time.
    assert_eq!(device.bar0_write(DRIVER, 4, 2), Err(Refused));
    for step in 1..=3 {
        let _ = write(&mut device, DRIVER, step);
        assert_eq!(read(&device, DRIVER), step);
    }
    assert_eq!(device.bar0_write(ACK, 4, 1), Err(Refused), "it is settled");
    assert!(device.set_status(1).is_err(), "it is the mailbox's");
}

#[test]
fn what_was_not_offered_is_not_accepted() {
    let mut device = device();
    let _ = write(&mut device, DRIVER, driver::PRESENT);
    let _ = write(&mut device, ACK, 1 << 31);
    let effects = write(&mut device, DRIVER, driver::SETTLED);
    assert!(effects.revoke.is_some());
    assert_eq!(read(&device, DRIVER), driver::RESET);
}

#[test]
fn the_mailbox_is_inert_until_a_driver_is_present() {
    let mut device = device();
    assert_eq!(command(&mut device, mailbox::INFO, &[]), Effects::default());
    assert_eq!(read(&device, COMMAND), mailbox::INFO);
    assert_eq!(read(&device, STATUS), 0);
}

#[test]
fn what_the_device_knows_it_answers_at_once() {
    let mut device = running();
    let effects = command(&mut device, mailbox::ECHO, b"hello");
    assert!(effects.interrupt);
    assert_eq!(failure(&device), None);
    let reply: Vec<u32> = (0..4).map(|n| read(&device, DATA.start + 4 * n)).collect();
    assert_eq!(reply, [0x1234, 3, 5, 0]);
    let text: Vec<u8> = (0..5)
        .map(|n| device.bar0_read(0x30 + n, 1).unwrap() as u8)
        .collect();
    assert_eq!(text, b"hello");
    // Seen once, it is not told twice.
    assert_eq!(read(&device, EVENTS), event::MAILBOX);
    assert!(!command(&mut device, mailbox::INFO, &[]).interrupt);
    let _ = write(&mut device, EVENTS_ACK, event::MAILBOX);
    assert_eq!(read(&device, EVENTS), 0);
    assert!(command(&mut device, mailbox::INFO, &[]).interrupt);
    assert_eq!(read(&device, 0x28), 32, "all of it");
}

#[test]
fn what_cannot_be_asked_for_is_refused_at_once() {
    let mut device = running();
    for (number, parameters, expected) in [
        (0x99, &[][..], code::UNKNOWN),
        (mailbox::INFO, &[0], code::PARAMETERS),
        (mailbox::START, &[0; 7], code::PARAMETERS),
        (mailbox::CHANNEL_OPEN, &[1; 24], code::PARAMETERS),
        (mailbox::REGION_ADD, &[0; 25], code::PARAMETERS),
    ] {
        assert_eq!(command(&mut device, number, parameters).request, None);
        assert_eq!(failure(&device), Some(expected), "{number:#x}");
    }
    for (offset, length) in [(0x1f, 0), (0x20, 0x3e1), (0x400, 1), (u32::MAX, u32::MAX)] {
        let _ = write(&mut device, DATA_OFFSET, offset);
        let _ = write(&mut device, DATA_LENGTH, length);
        let _ = write(&mut device, COMMAND, mailbox::ECHO);
        assert_eq!(
            failure(&device),
            Some(code::PARAMETERS),
            "{offset:#x} {length:#x}"
        );
    }
    let _ = device.config_write(4, &[2, 0]);
    assert_eq!(
        read(&device, DRIVER),
        driver::RESET,
        "no bus mastering, no driver"
    );
}

#[test]
fn nothing_takes_memory_before_all_is_ready() {
    let mut device = device();
    let _ = write(&mut device, DRIVER, driver::PRESENT);
    let _ = command(&mut device, mailbox::CHANNEL_OPEN, &[0; 24]);
    assert_eq!(
        failure(&device),
        Some(code::UNKNOWN),
        "no segments accepted"
    );
    let _ = write(&mut device, ACK, SEGMENT_ADDRESS as u32);
    let _ = command(&mut device, mailbox::CHANNEL_OPEN, &[0; 24]);
    assert_eq!(failure(&device), Some(code::NOT_READY));
}

#[test]
fn the_host_answers_once_and_nothing_is_written_meanwhile() {
    let mut device = running();
    let mut parameters = [0; 24];
    parameters[..8].copy_from_slice(&0x7000_u64.to_le_bytes());
    parameters[8..16].copy_from_slice(&0x40_0000_u64.to_le_bytes());
    let effects = command(&mut device, mailbox::CHANNEL_OPEN, &parameters);
    let request = effects.request.unwrap();
    let (directory, length) = (0x7000, 0x40_0000);
    assert_eq!(request.task, Task::Open { directory, length });
    assert_eq!(read(&device, STATUS), 0);
    for offset in [COMMAND, DATA_OFFSET, 0x20, 0x3fc] {
        assert_eq!(device.bar0_write(offset, 4, 7), Err(Refused), "{offset:#x}");
    }
    let wrong = device.complete(request.number.wrapping_add(1), Ok(None));
    assert_eq!(wrong, Effects::default());
    assert!(device.complete(request.number, Ok(Some(5))).interrupt);
    assert_eq!((failure(&device), read(&device, 0x30)), (None, 5));
    let again = device.complete(request.number, Err(code::HOST));
    assert_eq!(again, Effects::default());
    // A doorbell of a channel that there may be.
    assert_eq!(
        write(&mut device, DOORBELLS.start + 4 * 63, 1).doorbell,
        Some(63)
    );
    assert_eq!(
        device.bar0_write(DOORBELLS.start + 4 * 64, 4, 1),
        Err(Refused)
    );
}

/// DRIVER 0, bus mastering off, function level reset, the machine's reset: one path.
#[test]
fn whatever_resets_revokes_once() {
    let resets: [fn(&mut Device) -> Effects; 4] = [
        |device| write(device, DRIVER, 0),
        |device| device.config_write(4, &[2, 0]),
        |device| device.config_write(0x48, &[0, 0x80]),
        Device::reset,
    ];
    for reset in resets {
        let mut device = running();
        let request = command(&mut device, mailbox::CHANNEL_CLOSE, &[0; 4])
            .request
            .unwrap();
        let number = reset(&mut device).revoke.unwrap();
        assert_eq!(
            reset(&mut device).revoke,
            None,
            "there is no driver any more"
        );
        assert_eq!(read(&device, STATE), state::RESETTING);
        assert_eq!(read(&device, GENERATION), 1);
        assert_eq!((read(&device, DRIVER), read(&device, STATUS)), (0, 0));
        assert_eq!(
            device.complete(request.number, Ok(None)),
            Effects::default()
        );
        assert_eq!(read(&device, STATUS), 0, "nobody waits for it");
        assert!(device.bar0_write(DATA.start, 4, 1).is_ok());
        // What was true before the last revocation is not any more.
        let _ = device.set_host_state(HostState::Ready, number - 1);
        assert_eq!(read(&device, STATE), state::RESETTING);
        let _ = device.set_host_state(HostState::Ready, number);
        assert_eq!(read(&device, STATE), state::READY);
    }
}

#[test]
fn a_function_level_reset_is_a_power_on_but_for_what_the_host_says() {
    let mut device = running();
    let _ = device.bar0_write(MSIX_TABLE.start, 8, 0xfee0_0000).unwrap();
    let _ = device.reset();
    assert_eq!(device.bar0_read(MSIX_TABLE.start, 8), Ok(0));
    assert_eq!(read(&device, MSIX_TABLE.start + 12), 1, "masked");
    assert_eq!(read(&device, ACK), 0);
    assert_eq!(read(&device, MAGIC), MAGIC_VALUE);
}

#[test]
fn losses_are_events_and_generations() {
    let mut device = running();
    assert!(device.channel_lost().interrupt);
    assert_eq!(read(&device, EVENTS), event::CHANNEL);
    assert_eq!(read(&device, GENERATION), 0);
    assert!(device.set_host_state(HostState::Lost, 0).interrupt);
    assert_eq!(
        (read(&device, STATE), read(&device, GENERATION)),
        (state::LOST, 1)
    );
    let _ = device.set_host_state(HostState::Ready, 0);
    // A command that waits is answered.
    let _ = command(&mut device, mailbox::CHANNEL_CLOSE, &[0; 4]);
    let effects = device.memory_lost();
    assert!(effects.revoke.is_some() && effects.interrupt);
    assert_eq!(failure(&device), Some(code::HOST));
    assert_eq!(read(&device, DRIVER), driver::RUN, "the driver stays");
    assert_eq!(read(&device, STATE), state::RESETTING);
}

#[test]
fn a_saved_device_comes_back_without_its_channels() {
    let mut source = running();
    let _ = source.bar0_write(MSIX_TABLE.start, 8, 0xfee0_1000).unwrap();
    let _ = command(&mut source, mailbox::CHANNEL_CLOSE, &[0; 4]);
    let saved = [source.save().as_slice(), &source.save_features().unwrap()].concat();
    assert_eq!(saved.len(), source.state_size());
    let mut target = device();
    let effects = target.restore(&saved).unwrap();
    assert!(effects.interrupt, "its command is answered");
    assert_eq!(failure(&target), Some(code::HOST));
    assert_eq!(read(&target, DRIVER), driver::RUN);
    assert_eq!(
        (read(&target, STATE), read(&target, GENERATION)),
        (state::LOST, 1)
    );
    assert_eq!(target.bar0_read(MSIX_TABLE.start, 8), Ok(0xfee0_1000));
    // Neither takes the other's.
    let plain = || {
        Device::new(
            &DeviceConfig::default(),
            PortType::RootComplexIntegratedEndpoint,
        )
    };
    assert!(plain().restore(&saved).is_err());
    assert!(device().restore(&plain().save()).is_err());
    assert!(device().restore(&saved[..saved.len() - 1]).is_err());
}
