//! `vgpu smi`: what a machine's programs have of a GPU, as that machine knows it.

mod driver;
mod processes;
mod report;
mod session;

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use vgpu_terminal::{Failure, json, print};
use vgpu_transport::Error;
use vgpu_transport::attachment::Attachment;

use driver::Driver;
use report::Report;
use session::Told;

const EXAMPLES: &str = "\
Examples:
  vgpu smi                               in a guest: its share of the host's GPU
  vgpu smi --json | jq .memory_used
  vgpu run -- vgpu smi                   what a program finds without a machine

It asks as CUDA programs do: it opens a session, and so takes one of those that the device may have
at a time, for a moment. What this machine cannot know is `-`, and null in JSON: the host tells a
guest nothing of how busy its GPU is. Used memory is what cuMemGetInfo says: of a machine with a
quota, that of all its programs; else, of an engine on processors, that of this session, which is 0.
Processes are those that this user may see.

Exit code: 0 if it was told, 1 if there is a device whose host gives no session, 2 if there is none.";

/// How long the host may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Show the device that CUDA programs find here, and who uses it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let asked = ask();
    let by_driver = !matches!(&asked, Ok((Attachment::Local(_), _)));
    let driver = Driver::find().filter(|_| by_driver);
    let (told, refused) = match asked {
        Ok((_, told)) => (Some(told), None),
        Err(failure) => (None, Some(failure)),
    };
    match (refused, &driver) {
        (Some(failure), None) => Err(failure),
        (refused, driver) => {
            let report = Report::new(driver.as_ref(), told);
            print("the report", |out| match args.json {
                true => json(out, &report),
                false => report.write(out),
            })?;
            match refused {
                Some(failure) => Err(failure.with_code(1)),
                None => Ok(ExitCode::SUCCESS),
            }
        }
    }
}

/// Asks the host in a session, which is over where this process is.
fn ask() -> Result<(Attachment, Told), Failure> {
    let attachment = Attachment::open().map_err(|error| refused(&error))?;
    // A host that does not answer is waited for without an end.
    let (sender, told) = mpsc::channel();
    thread::spawn(move || {
        let told = session::ask(&attachment);
        let _ = sender.send(told.map(|told| (attachment, told)));
    });
    match told.recv_timeout(PATIENCE) {
        Ok(told) => told,
        Err(_) => Err(Failure::new(
            "the host gave a session, and does not answer in it",
            "see the log of vgpud on the host",
        )),
    }
}

/// Why there is no session, and what to do.
fn refused(error: &Error) -> Failure {
    let mend = match error {
        Error::NoDriver { .. } => "modprobe vgpu",
        Error::Node { .. } => "adduser USER vgpu, and log in anew",
        Error::NoHost { .. } => "start vgpud on the host",
        Error::NoSession { .. } => {
            "see docs/cuda-in-a-vm.md; end other programs, where it is their number"
        }
        Error::NotSet { .. } | Error::NoDaemon { .. } | Error::None { .. } => {
            "in a guest, see that it has a device: lspci -d 1af4:1111"
        }
        _ => "see the log of vgpud",
    };
    Failure::new(error.to_string(), mend)
}
