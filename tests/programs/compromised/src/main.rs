//! Tries what a process tries that a guest has taken over. For tests.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use vgpu_compromised::{Domains, Process, act, page, policies, try_all};
use xen_dm::DomainId;

const USAGE: &str = "usage: vgpu-compromised try xen|vfio-user|vfio-user-features|worker|vm-worker|none [OWN-DOMID OTHER-DOMID]
       vgpu-compromised page";

fn main() -> Result<ExitCode> {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["page"] => print!("{}\n{}", policies(), page()),
        ["try", name, ref rest @ ..] => {
            let program = env::current_exe()?;
            let wrong = try_all(&program, process(name)?, domains(rest)?, io::stdout())?;
            if wrong > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        // One of them, in the process that tries it.
        ["act", name, index, ref rest @ ..] => {
            act(process(name)?, index.parse()?, domains(rest)?)?;
        }
        _ => bail!(USAGE),
    }
    Ok(ExitCode::SUCCESS)
}

fn process(name: &str) -> Result<Process> {
    Process::named(name).context(USAGE)
}

fn domains(words: &[&str]) -> Result<Option<Domains>> {
    match words {
        [] => Ok(None),
        [own, other] => Ok(Some(Domains {
            own: DomainId(own.parse()?),
            other: DomainId(other.parse()?),
        })),
        _ => bail!(USAGE),
    }
}
