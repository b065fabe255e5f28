//! Runs a target: under libFuzzer, with all its options, where `cargo xtask
//! fuzz` has built this; else once for each file that is named.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod engine;

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(target) = arguments
        .next()
        .and_then(|name| vgpu_fuzz::Target::find(&name))
    else {
        eprintln!("error: no such target\nmend: cargo run -p vgpu-fuzz TARGET FILE…, with one of:");
        for target in vgpu_fuzz::TARGETS {
            eprintln!("  {:<10} {}", target.name, target.about);
        }
        return std::process::ExitCode::FAILURE;
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(bytes) => vgpu_fuzz::execute(target, &bytes),
            Err(error) => {
                eprintln!("error: cannot read {file}: {error}\nmend: name a file");
                return std::process::ExitCode::FAILURE;
            }
        }
        println!("{file}: holds");
    }
    std::process::ExitCode::SUCCESS
}
