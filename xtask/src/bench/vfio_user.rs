//! Through vfio-user, against a minimal server on the crate vfio_user.

use anyhow::Result;
use clap::{Args, value_parser};
use vgpu_bed::cache::Cache;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::server::{Server, qemu_device};
use vgpu_bed::static_program;
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_bench::{Access, Median};

use super::conditions::Conditions;
use super::report::{Report, tell};
use super::{EXAMPLES, guests};
use crate::{checkout, programs};

/// The most that an access to vgpu-stub may cost, in accesses to its peer.
const BOUND: f64 = 1.0;

/// Compare vgpu-stub with a minimal server on the crate vfio_user, in guests that have both, of a stock QEMU
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What to time
    #[arg(long, value_enum, default_value_t = Access::Read)]
    access: Access,

    /// How many guests to boot, each with new servers; they are the sample
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    boots: u32,

    /// Compare vgpu-stub with itself, which shows what this benchmark cannot tell apart
    #[arg(long)]
    null: bool,

    /// Print JSON, with the ratio of each boot
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let ours = programs::build(steps)?;
    let (peer, peers_name) = if options.null {
        (ours.clone(), "itself")
    } else {
        let name = "minimal-vfio-user-server";
        let server = static_program::build(checkout(), "vgpu-bench", name, steps)?;
        (server, "a minimal server on the crate vfio_user")
    };
    let cache = Cache::open()?;
    let qemu = StockQemu::fetch(&cache, steps)?;
    let image = guests::image(&cache, steps)?;
    let conditions = Conditions::new(&ours, &[("QEMU", &qemu.release)])?.with_peer()?;
    let machine = MachineBuilder::new(&qemu.path, MachineType::Q35, &Firmware::own())
        .shared_memory()
        .image(&image);
    let boots = guests::sample(options.boots, steps, |boot, step| {
        let servers = [
            Server::start(&ours, [""; 0])?,
            Server::start(&peer, [""; 0])?,
        ];
        let device = |server: &Server, slot: u8| {
            qemu_device(server.socket(), &[("addr", slot.to_string().into())])
        };
        guests::compare(
            machine.clone(),
            &[&|slot| device(&servers[0], slot), &|slot| {
                device(&servers[1], slot)
            }],
            options.access,
            boot,
            step,
        )
    })?;
    let report = Report::new(
        "vfio-user",
        peers_name,
        Some(BOUND),
        &boots.concat(),
        conditions,
    )?;
    tell(&[report], options.json)
}
