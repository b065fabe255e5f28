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
        let mend = "cargo run -p vgpu-fuzz TARGET FILE…, with one of those below";
        let code = vgpu_terminal::Failure::new("no such target", mend).report();
        for target in vgpu_fuzz::TARGETS {
            eprintln!("  {:<10} {}", target.name, target.about);
        }
        return code;
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(bytes) => vgpu_fuzz::execute(target, &bytes),
            Err(error) => {
                let cause = format!("cannot read {file}: {error}");
                return vgpu_terminal::Failure::new(cause, "name a file").report();
            }
        }
        println!("{file}: holds");
    }
    std::process::ExitCode::SUCCESS
}
