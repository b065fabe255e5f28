//! A device without features is what it was before there were any: 300,000 accesses give what they gave then.

use vgpu_device::{Device, DeviceConfig, Effects};
use vgpu_pci::capability::PortType;

/// What the version before features gave, by port type: a digest of all that a guest and a host saw.
const RECORDED: [(Option<PortType>, u64); 3] = [
    (
        Some(PortType::RootComplexIntegratedEndpoint),
        0x55eb_3e32_a31c_95a7,
    ),
    (Some(PortType::Endpoint), 0x7b53_455b_28cd_0188),
    (None, 0xda81_071a_d1f3_d4ec),
];

/// FNV-1a.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn effects(&mut self, effects: &Effects) {
        let bus_master = effects.bus_master.map_or(2, u8::from);
        self.add(format!("{:?} {bus_master} {}", effects.bar0, effects.reset).as_bytes());
    }
}

/// Accesses as a guest makes them that tries everything: where something is, and where nothing is.
fn digest(port_type: Option<PortType>) -> u64 {
    let mut device = Device::new(&DeviceConfig::default(), port_type);
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300_000 {
        let size = 1 << random.u32(0..4);
        let value = random.u64(..);
        match random.u32(0..64) {
            0..16 => {
                let mut data = [0; 8];
                let data = &mut data[..size];
                device.config_read(random.u16(0..0x120), data);
                digest.add(data);
            }
            16..32 => {
                let data = &value.to_le_bytes()[..size];
                let effects = device.config_write(random.u16(0..0x120), data);
                digest.effects(&effects);
            }
            32..47 => {
                let read = device.bar0_read(random.u64(0..0x1010), size);
                digest.add(&read.map_or([0xee; 8], u64::to_le_bytes));
            }
            47..62 => match device.bar0_write(random.u64(0..0x1010), size, value) {
                Ok(effects) => digest.effects(&effects),
                Err(_) => digest.add(b"refused"),
            },
            62 => digest.add(&device.save()),
            _ if random.u32(0..20) == 0 => digest.effects(&device.reset()),
            _ => {
                let saved = device.save();
                digest.effects(&device.restore(&saved).expect("its own state"));
            }
        }
    }
    digest.0
}

#[test]
fn a_device_without_features_is_the_one_of_before() {
    for (port_type, recorded) in RECORDED {
        assert_eq!(digest(port_type), recorded, "{port_type:?}");
    }
}
