//! What a daemon of virtual machines is asked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vgpu_socket::LineStream;
use vgpu_terminal::Failure;
use vgpud::Status;
use vgpud::control::{Answer, Request};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 64 << 20;

/// Which daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// The control socket of vgpud: what its --control names
    #[arg(
        long,
        value_name = "PATH",
        env = "VGPUD_CONTROL",
        default_value = "/run/vgpu/vgpud"
    )]
    control: PathBuf,
}

impl ControlArgs {
    /// Asks the daemon something.
    pub(crate) fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let path = self.control.display();
        let failed = |error: &dyn std::fmt::Display| {
            let mend =
                "see that `vgpud link` runs with this --control, and that this user may use it";
            Failure::new(format!("no answer at {path}: {error}"), mend)
        };
        let mut stream =
            LineStream::connect(&self.control, PATIENCE).map_err(|error| failed(&error))?;
        let mut line = serde_json::to_vec(&request).map_err(|error| failed(&error))?;
        line.push(b'\n');
        stream.send(&line).map_err(|error| failed(&error))?;
        let answer = stream.receive(Instant::now() + PATIENCE, LONGEST);
        let answer = answer.map_err(|error| failed(&error))?;
        match serde_json::from_slice(&answer).map_err(|error| failed(&error))? {
            Answer::Failed { cause, mend } => Err(Failure::new(cause, mend)),
            answer => Ok(answer),
        }
    }

    /// All at a glance.
    pub(crate) fn status(&self) -> Result<Status, Failure> {
        match self.ask(Request::Status)? {
            Answer::Status(status) => Ok(status),
            _ => Err(another()),
        }
    }
}

/// The daemon said something else than what was asked for.
pub(crate) fn another() -> Failure {
    Failure::new(
        "the daemon answers another question",
        "install vgpu and vgpud of one version",
    )
}
