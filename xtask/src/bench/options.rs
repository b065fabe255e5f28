//! What several benchmarks ask for.

use clap::Args;
use vgpu_bench::{Access, Median};

pub(super) const EXAMPLES: &str = "\
Examples:
  cargo xtask bench vfio-user           what a BAR0 read costs through the server, against a minimal one
  cargo xtask bench qemu                in QEMU itself, against QEMU's own devices
  cargo xtask bench xen                 in Xen's dom0, against a device that QEMU emulates there
  cargo xtask bench model               what BAR0 costs in the model, against the model of a commit
  cargo xtask bench density             what idle servers cost together
  cargo xtask bench cuda                what CUDA calls cost a program, against a bare cache line
  cargo xtask bench driver              what CUDA costs a guest: calls, a training, doing nothing
  cargo xtask bench driver --kvm        the same, where this machine's processors execute the guest
  cargo xtask bench interpreter         how fast the CPU engine executes kernels, OpenCL's against pocl
  cargo xtask bench features            what a guest's shared memory costs, against a bare cache line of it
  cargo xtask bench vfio-user --access write
  cargo xtask bench qemu --json >tests/bench/results/qemu.json
  cargo xtask bench report tests/bench/results/*.json --chart docs/benchmarks.svg

Exit code: 0 if vgpu-stub keeps to the bound, 1 if not, or if nothing was measured.";

/// Compare vgpu-stub with devices of QEMU's own, in guests that have both
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Comparing {
    /// What to time
    #[arg(long, value_enum, default_value_t = Access::Read)]
    pub(super) access: Access,

    /// How many guests to boot; they are the sample
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    pub(super) boots: u32,

    /// Print JSON, with the ratio of each boot
    #[arg(long)]
    pub(super) json: bool,
}
