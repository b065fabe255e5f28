//! Tries the acts, each in a process of its own.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio, exit};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::getuid;
use vgpu_sandbox::{Policy, Sandbox};
use xen_dm::DomainId;
use xen_dm::device_model::{DeviceModel, MAX_SERVERS, ServerId};
use xen_dm::event_channel::EventChannels;

use crate::acts::ACTS;
use crate::attempt::{AtHand, Attempt, OnXen, call, give_memory_back};
use crate::{Outcome, Process};

/// The user that it becomes where it is root, as `vgpu-stub xen` has it.
const USER: u32 = 0x4_0000 + 1;

/// How a process ends whose act works, and whose act fails. One that cannot try
/// ends otherwise.
const WORKS: i32 = 0;
const REFUSED: i32 = 10;

/// A domain that the process answers, and another one.
#[derive(Debug, Clone, Copy)]
pub struct Domains {
    /// The one that it answers.
    pub own: DomainId,
    /// Another one's.
    pub other: DomainId,
}

/// Tries all acts that there is something for, prints what came of each, and
/// returns how many did not go as they have to.
///
/// # Errors
///
/// A process cannot be started, or cannot try.
pub fn try_all(
    program: &Path,
    process: Process,
    domains: Option<Domains>,
    mut output: impl Write,
) -> Result<usize> {
    let mut wrong = 0;
    // They have to leave nothing behind.
    let folder = tempfile::tempdir()?;
    let domain = domains.as_ref().map(|it| DeviceModel::open(it.own));
    let domain = domain.transpose()?;
    let kept = domain.as_ref().map(servers).unwrap_or_default();
    let acts = ACTS.iter().enumerate();
    for (index, act) in acts.filter(|(_, act)| act.is_for(process, domains.is_some())) {
        let mut command = Command::new(program);
        command.args(["act", process.name(), &index.to_string()]);
        for domain in domains.iter().flat_map(|it| [it.own, it.other]) {
            command.arg(domain.to_string());
        }
        let tried = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        let outcome = outcome(tried.status).with_context(|| {
            let said = String::from_utf8_lossy(&tried.stderr);
            format!(
                "{}: it cannot be tried ({}): {said}",
                act.what, tried.status
            )
        })?;
        // Xen has room for eight; the process that has made this one may have been ended.
        for server in domain.iter().flat_map(servers) {
            if let (Some(model), false) = (&domain, kept.contains(&server)) {
                let _ = model.destroy_server(server);
            }
        }
        let right = act.allows(process, outcome);
        wrong += usize::from(!right);
        let mark = if right { "" } else { "  <- WRONG" };
        writeln!(output, "{}: {outcome:?}{mark}", act.what)?;
    }
    Ok(wrong)
}

fn outcome(status: ExitStatus) -> Result<Outcome> {
    Ok(match (status.code(), status.signal()) {
        (Some(WORKS), _) => Outcome::Works,
        (Some(REFUSED), _) => Outcome::Refused,
        (_, Some(libc::SIGSYS)) => Outcome::Ended,
        (_, Some(libc::SIGXFSZ)) => Outcome::OverLimit,
        _ => bail!("it ended otherwise"),
    })
}

/// Closes the sandbox, tries an act in it, by another thread than that which
/// closed it, and ends the process.
///
/// # Errors
///
/// It cannot try.
pub fn act(process: Process, index: usize, domains: Option<Domains>) -> Result<()> {
    let act = ACTS.get(index).context("there is no such act")?;
    let at_hand = AtHand::new(file()?);
    let on_xen = domains.map(on_xen).transpose()?;
    let sandbox = Sandbox::prepare()?;
    let policy = process.policy();
    let sandbox = match process {
        Process::Xen if getuid().is_root() => become_another(sandbox)?,
        Process::OfMachine if getuid().is_root() => become_machines(sandbox)?,
        _ => sandbox,
    };
    let (running, started) = sync_channel(0);
    let (begin, wait) = sync_channel::<()>(0);
    let trying = thread::spawn(move || {
        let _ = running.send(());
        let _ = wait.recv();
        let result = match act.attempt {
            Attempt::Call(number, arguments) => call(number, arguments, &at_hand),
            Attempt::GiveMemoryBack => {
                give_memory_back();
                Ok(())
            }
            Attempt::OnXen(attempt) => on_xen.map_or(Err(Errno::NODEV), |it| attempt(&it)),
        };
        exit(if Outcome::from(result) == Outcome::Works {
            WORKS
        } else {
            REFUSED
        });
    });
    let _ = started.recv();
    close(sandbox, policy)?;
    let _ = begin.send(());
    let _ = trying.join();
    bail!("the thread has ended")
}

fn close(sandbox: Sandbox, policy: Option<&Policy>) -> Result<()> {
    if let Some(policy) = policy {
        sandbox.close(policy)?;
    }
    Ok(())
}

/// As `vgpu-stub xen` does.
fn become_another(mut sandbox: Sandbox) -> Result<Sandbox> {
    sandbox.leave_files(".".as_ref())?;
    sandbox.become_user(USER)?;
    Ok(sandbox)
}

/// As `vgpud link` has its workers do.
fn become_machines(mut sandbox: Sandbox) -> Result<Sandbox> {
    sandbox.become_user(USER)?;
    Ok(sandbox)
}

impl Process {
    /// What it may do.
    pub(crate) fn policy(self) -> Option<&'static Policy> {
        match self {
            Self::Xen => Some(&vgpu_xen::POLICY),
            Self::VfioUser => Some(&vgpu_vfio_user::POLICY),
            Self::VfioUserFeatures => Some(&vgpu_vfio_user::FEATURES_POLICY),
            Self::Worker => Some(&vgpu_worker::POLICY),
            Self::OfMachine => Some(&vgpu_worker::CHANNEL_POLICY),
            Self::None => None,
        }
    }
}

/// A file of 4096 bytes that has no name, made in the working directory.
fn file() -> Result<File> {
    let name = "file";
    let open = || -> std::io::Result<File> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(name)?;
        fs::remove_file(name)?;
        file.write_all(&[0; 4096])?;
        Ok(file)
    };
    open().context("cannot make a file")
}

/// The ioreq servers that a domain has.
fn servers(model: &DeviceModel) -> Vec<ServerId> {
    let ids = (0..MAX_SERVERS).map(ServerId);
    ids.filter(|id| model.is_buffered(*id).is_ok()).collect()
}

fn on_xen(domains: Domains) -> Result<OnXen> {
    let handle = || -> Result<DeviceModel> {
        let model = DeviceModel::open(domains.own)?;
        model.restrict()?;
        Ok(model)
    };
    let model = handle()?;
    let server = model.create_server()?;
    let channels = EventChannels::open()?;
    channels.restrict(domains.own)?;
    Ok(OnXen {
        model,
        server,
        astray: handle()?.for_domain(domains.other),
        channels,
    })
}
