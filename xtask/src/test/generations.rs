//! The interpreter on processors of each generation of x86-64 for which it is compiled, by QEMU's user mode.

use anyhow::Result;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::Steps;

/// Generations, as the interpreter names them, and a processor of QEMU's that has no more. It emulates none of `x86-64-v4`:
/// that is tested where this machine has it.
const PROCESSORS: [(&str, &str); 3] = [
    ("all", "qemu64"),
    ("x86-64-v2", "Nehalem"),
    ("x86-64-v3", "Haswell"),
];

/// Has `tests` run those that hold the bits of what is compiled for each, by its arguments and its environment.
pub(super) fn run(
    steps: &Steps,
    tests: impl Fn(&[&str], &[(&str, &str)]) -> Result<()>,
) -> Result<()> {
    host_packages::ensure(&[Package::program("qemu-user", "qemu-x86_64")], steps)?;
    for (generation, processor) in PROCESSORS {
        let runner = format!("qemu-x86_64 -cpu {processor}");
        let environment = [
            ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &*runner),
            ("VGPU_GENERATION", generation),
        ];
        let arguments = ["--package", "vgpu-simt", "--test", "generations"];
        tests(&arguments, &environment)?;
    }
    Ok(())
}
