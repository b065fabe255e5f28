//! The model as a process shares it: what is counted, and what the log shows.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vgpu_device::{Device, DeviceConfig, Effects, Register};
use vgpu_pci::capability::PortType;
use vgpu_runtime::{Counters, Emulator, Log};

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `act` puts into the log of a traced device.
fn log_of(act: impl FnOnce(&Emulator)) -> String {
    let text = Text::default();
    let log = Log::start("", text.clone()).unwrap();
    let port = PortType::RootComplexIntegratedEndpoint;
    let emulator = Emulator::new(Device::new(&DeviceConfig::default(), port), true, log);
    act(&emulator);
    emulator.log().flush(Duration::from_secs(20));
    let bytes = text.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn accesses_are_counted_and_shown() {
    let log = log_of(|emulator| {
        // Nobody answers before the guest has asked for that.
        let mut none = [0xee; 4];
        emulator.bar0_read(0x10, &mut none);
        let effects = emulator.bar0_write(0x10, &[1, 2, 3, 4]);
        assert_eq!((none, effects), ([0xff; 4], Effects::default()));
        let _ = emulator.config_write(0x04, &[2]);
        let mut data = [0xee; 16];
        let _ = emulator.bar0_write(0x10, &0x1234_5678u32.to_le_bytes());
        let _ = emulator.bar0_write(0x04, &[1, 0, 0, 0]);
        emulator.bar0_read(0x10, &mut data[..4]);
        assert_eq!(data[..5], [0x78, 0x56, 0x34, 0x12, 0xee]);
        // Larger than any register: refused, and all of it 0.
        emulator.bar0_read(0x20, &mut data);
        assert_eq!(data, [0; 16]);
        let _ = emulator.bar0_write(0x20, &[0xff; 16]);
        let _ = emulator.set_status(7);
        emulator.config_read(0x00, &mut data[..2]);
        assert_eq!(data[..2], [0xf4, 0x1a]);
        let values = |emulator: &Emulator| emulator.registers().map(|(_, value)| value);
        assert_eq!(emulator.registers()[1].0, Register::Status);
        assert_eq!(values(emulator), [0, 7, 0, 0, 0x1234_5678]);
        // A function level reset, the guest's; then the machine's.
        let _ = emulator.config_write(0x48, &[0, 0x80]);
        let _ = emulator.reset();
        emulator.bar0_read(0x10, &mut data[..4]);
        assert_eq!(data[..4], [0xff; 4], "the reset has switched it off");
        assert_eq!(values(emulator), [0; 5]);
        let expected = Counters {
            config_reads: 1,
            config_writes: 2,
            bar0_reads: 2,
            bar0_writes: 3,
            refused_reads: 1,
            refused_writes: 1,
            resets: 2,
            connections: 0,
        };
        assert_eq!(emulator.counters(), expected);
    });
    let expected = "\
config_write addr 0x004 size 1 value 0x2
bar0_write offset 0x10 size 4 value 0x12345678
bar0_write offset 0x4 size 4 value 0x1
bar0_read offset 0x10 size 4 value 0x12345678
bar0_read offset 0x20 size 16 value 0x0 refused
bar0_write offset 0x20 size 16 value 0xffffffffffffffff refused
config_read addr 0x000 size 2 value 0x1af4
config_write addr 0x048 size 2 value 0x8000
reset
reset
";
    assert_eq!(log, expected);
}

#[test]
fn tracing_is_switched_while_it_runs() {
    let log = log_of(|emulator| {
        let _ = emulator.reset();
        emulator.set_traced(false);
        let _ = emulator.config_write(0x04, &[2]);
        emulator.bar0_read(0, &mut [0; 4]);
        let _ = emulator.config_write(0x48, &[0, 0x80]);
        let _ = emulator.config_write(0x04, &[2]);
        emulator.set_traced(true);
        emulator.bar0_read(8, &mut [0; 4]);
    });
    assert_eq!(log, "reset\nbar0_read offset 0x8 size 4 value 0x0\n");
}
