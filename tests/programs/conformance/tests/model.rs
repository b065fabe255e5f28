//! The suite on the bare model, and the suite on devices that are wrong.

use vgpu_conformance::{Error, Identity, Model, Outcome, Target, run};
use vgpu_device::{Bar0Size, DeviceConfig, FeaturesConfig};
use vgpu_pci::capability::PortType;

#[test]
fn the_model_conforms() {
    for port_type in [
        Some(PortType::RootComplexIntegratedEndpoint),
        Some(PortType::Endpoint),
        None,
    ] {
        for bar0_size in [0x1000, 0x1_0000, 0x100_0000] {
            let config = DeviceConfig {
                bar0_size: Bar0Size::try_from(u64::from(bar0_size)).unwrap(),
                ..DeviceConfig::default()
            };
            let identity = Identity {
                bar0_size,
                port_type,
                ..Identity::default()
            };
            for report in run(&mut Model::new(&config, port_type), &identity) {
                let resettable = port_type.is_some() || !report.name.starts_with("reset");
                let passed = report.outcome == Outcome::Passed;
                assert_eq!(passed, resettable, "{report}");
            }
        }
    }
}

#[test]
fn the_model_with_features_conforms() {
    for port_type in [
        Some(PortType::RootComplexIntegratedEndpoint),
        Some(PortType::Endpoint),
        None,
    ] {
        let identity = Identity {
            port_type,
            features: true,
            ..Identity::default()
        };
        for report in run(&mut Model::new(&with_features(), port_type), &identity) {
            let reset = report.name.contains("reset");
            let passed = report.outcome == Outcome::Passed;
            assert_eq!(passed, port_type.is_some() || !reset, "{report}");
        }
    }
}

fn with_features() -> DeviceConfig {
    DeviceConfig {
        features: Some(FeaturesConfig::default()),
        ..DeviceConfig::default()
    }
}

/// A model with one defect.
struct Mutant {
    model: Model,
    defect: Defect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    VgaClass,
    WritableVendor,
    StickySizing,
    DataLost,
    StatusWritable,
    NoReset,
    NoCapability,
    BytesInRegisters,
    NoMagic,
    ForgottenAck,
    StepsSkipped,
    SilentMailbox,
    DriverSurvives,
}

impl Target for Mutant {
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        let value = self.model.config_read(offset, size)?;
        Ok(match (self.defect, offset) {
            (Defect::VgaClass, 0x0b) => 0x03,
            (Defect::WritableVendor, 0x00) => value ^ 1,
            (Defect::StickySizing, 0x10) if size == 4 => 0xffff_f000,
            (Defect::NoCapability, 0x34) => 0,
            _ => value,
        })
    }

    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
        match (self.defect, offset) {
            (Defect::NoReset | Defect::DriverSurvives, 0x48) => Ok(()),
            _ => self.model.config_write(offset, size, value),
        }
    }

    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        match (self.defect, offset, size) {
            (Defect::DataLost, 0x3f8, 8) => Ok(0),
            (Defect::StatusWritable, 0x04, 4) => Ok(0x5555_5555),
            (Defect::BytesInRegisters, 0x00, 1) => Ok(0x11),
            (Defect::NoMagic, 0x400, 4) | (Defect::SilentMailbox, 0x430, 4) => Ok(0),
            (Defect::ForgottenAck, 0x410, 4) => Ok(0),
            (Defect::StepsSkipped, 0x418, 4) => Ok(self.model.bar0_read(offset, size)?.max(1)),
            _ => self.model.bar0_read(offset, size),
        }
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        self.model.bar0_write(offset, size, value)
    }
}

#[test]
fn each_defect_is_found() {
    use Defect::*;
    for (defect, case) in [
        (VgaClass, "identity"),
        (WritableVendor, "identity"),
        (StickySizing, "bar0: sizing"),
        (DataLost, "data region"),
        (StatusWritable, "reset"),
        (NoReset, "reset"),
        (NoCapability, "config: the capability list"),
        (BytesInRegisters, "bar0: other accesses"),
        (NoMagic, "features: each register"),
        (ForgottenAck, "features: the driver"),
        (StepsSkipped, "features: the driver"),
        (SilentMailbox, "features: the mailbox"),
        (DriverSurvives, "features: a function level reset"),
    ] {
        let features = case.starts_with("features");
        let config = match features {
            true => with_features(),
            false => DeviceConfig::default(),
        };
        let model = Model::new(&config, PortType::Endpoint);
        let identity = Identity {
            port_type: Some(PortType::Endpoint),
            features,
            ..Identity::default()
        };
        let reports = run(&mut Mutant { model, defect }, &identity);
        assert!(
            reports
                .iter()
                .any(|r| r.name.starts_with(case) && matches!(r.outcome, Outcome::Failed(_))),
            "{defect:?} passed \"{case}\""
        );
    }
}

#[test]
fn what_a_target_cannot_do_is_skipped() {
    struct GuestLike(Model);
    impl Target for GuestLike {
        fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
            self.0.config_read(offset, size)
        }
        fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
            self.0.config_write(offset, size, value)
        }
        fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
            self.0.bar0_read(offset, size)
        }
        fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
            self.0.bar0_write(offset, size, value)
        }
    }
    let model = Model::new(
        &DeviceConfig::default(),
        PortType::RootComplexIntegratedEndpoint,
    );
    let reports = run(&mut GuestLike(model), &Identity::default());
    let skipped = reports
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Skipped(_)))
        .count();
    assert_eq!(skipped, 2);
    assert!(
        !reports
            .iter()
            .any(|r| matches!(r.outcome, Outcome::Failed(_)))
    );
}
