//! Programs of others, on the engines.

use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use super::{Installed, Python, quick};

/// Run programs of others
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Which; without it, all are listed
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

struct Program {
    /// Its name, and that of its list of packages.
    name: &'static str,
    about: &'static str,
    script: &'static str,
    engines: &'static [&'static str],
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "taichi",
        about: "Taichi 1.7.4: a field is filled, and summed up",
        script: "taichi_fields.py",
        engines: &["cpu"],
    },
    Program {
        name: "cuda-core",
        about: "cuda-core 1.2.2, without NVRTC: PTX is loaded and launched",
        script: "cuda_core_launch.py",
        engines: &["null", "cpu"],
    },
    Program {
        name: "numba-cuda",
        about: "numba-cuda 0.30.4, without libNVVM: arrays are copied, no kernel is compiled",
        script: "numba_cuda_arrays.py",
        engines: &["null", "cpu"],
    },
];

fn list() -> String {
    let lines = PROGRAMS.iter();
    lines
        .map(|program| format!("  {:12} {}\n", program.name, program.about))
        .collect()
}

/// Runs the command.
pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    if options.names.is_empty() {
        print!("{}", list());
        return Ok(());
    }
    let named = |name: &String| {
        let found = PROGRAMS.iter().find(|program| program.name == name);
        found
            .ok_or_else(|| anyhow!("there is no program {name:?}"))
            .or_mend(format!("Name one of these:\n{}", list().trim_end()))
    };
    let programs: Vec<_> = options.names.iter().map(named).collect::<Result<_, _>>()?;
    let cache = Cache::open()?;
    let vgpu = quick(steps)?;
    for program in programs {
        let python = Python::with(program.name, &cache, steps)?;
        for engine in program.engines {
            let options = ["--engine", engine];
            let name = format!("Run {} on the engine {engine}", program.name);
            let output = steps
                .step(&name, |step| {
                    step.output(&mut python.script_on(&vgpu, &options, program.script))
                })
                .or_mend("See what it says above, and what it calls: vgpu trace.")?;
            print!("{output}");
        }
    }
    Ok(())
}

/// Holds so many steps of tinygrad's trainings against its CPU backend.
///
/// # Errors
///
/// A step is not equal.
pub(super) fn equality(vgpu: &Installed, count: u32, cache: &Cache, steps: &Steps) -> Result<()> {
    let python = Python::tinygrad(cache, steps)?;
    let hold = |net: &str| {
        let mut script = python.script_on(vgpu, &[], "tinygrad_equality.py");
        script
            .args([net, &count.to_string()])
            .env("DEV", "CUDA:PTX");
        steps
            .step(
                &format!("Hold tinygrad's {net} against its CPU backend"),
                |step| step.output(&mut script),
            )
            .context("the engine's results are not those of the CPU backend")
    };
    let mut operators = python.script_on(vgpu, &[], "tinygrad_operators.py");
    operators.env("DEV", "CUDA:PTX");
    let name = "Hold tinygrad's operators against its CPU backend";
    let output = steps
        .step(name, |step| step.output(&mut operators))
        .context("the engine's results are not those of the CPU backend")?;
    print!("{output}");
    // Most of it is tinygrad's compiler, on one processor.
    let outputs = thread::scope(|scope| {
        let nets = ["mlp", "convnet"].map(|net| {
            scope.spawn({
                let hold = &hold;
                move || hold(net)
            })
        });
        nets.map(|net| net.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    for output in outputs {
        print!("{}", output?);
    }
    Ok(())
}
