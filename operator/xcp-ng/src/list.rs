//! `vgpu-stub xcp list`: the VMs that are to have the device, and what each
//! host of the pool says of itself.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use vgpu_terminal::{Failure, Printable};

use crate::name::NAME;
use crate::uuid::Uuid;
use crate::xe::XAPI;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// For programs
    #[arg(long)]
    json: bool,
}

/// A VM that is to have the device.
#[derive(Serialize)]
struct Vm {
    uuid: String,
    name: String,
    power_state: String,
}

/// A host of the pool.
#[derive(Serialize)]
pub(crate) struct PoolHost {
    uuid: String,
    pub(crate) name: String,
    /// What its plugin says.
    status: Option<Value>,
    /// Why there is no such.
    error: Option<String>,
}

impl PoolHost {
    fn ask(uuid: &Uuid) -> Result<Self, Failure> {
        let host = format!("host-uuid={uuid}");
        let plugin = format!("plugin={NAME}");
        let answer = XAPI.call(&["host-call-plugin", &host, &plugin, "fn=status"]);
        let status = answer.map_err(|failure| failure.cause).and_then(|text| {
            serde_json::from_slice(text.as_bytes()).map_err(|_| format!("its plugin says: {text}"))
        });
        Ok(Self {
            name: XAPI.value("host", uuid, "name-label")?,
            uuid: uuid.to_string(),
            error: status.as_ref().err().cloned(),
            status: status.ok(),
        })
    }

    /// Why a VM cannot have the device there.
    pub(crate) fn problem(&self) -> Option<String> {
        let Some(status) = &self.status else {
            let error = self.error.as_deref().unwrap_or_default();
            return Some(format!("the kit is missing or does not answer ({error})"));
        };
        let problems: Vec<&str> = status["problems"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        match (problems.is_empty(), status["ready"].as_bool()) {
            (true, Some(true)) => None,
            _ => Some(format!("the kit is broken ({})", problems.join(", "))),
        }
    }
}

/// All hosts of the pool.
///
/// # Errors
///
/// XAPI cannot be asked. A host that does not answer is none.
pub(crate) fn hosts() -> Result<Vec<PoolHost>, Failure> {
    let hosts = XAPI.list(&["host-list"])?;
    hosts.iter().map(PoolHost::ask).collect()
}

/// Prints them.
///
/// # Errors
///
/// XAPI cannot be asked.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let flag = format!("platform:xenguest={NAME}");
    let vms: Result<Vec<Vm>, Failure> = XAPI
        .list(&["vm-list", &flag])?
        .iter()
        .map(|uuid| {
            Ok(Vm {
                uuid: uuid.to_string(),
                name: XAPI.value("vm", uuid, "name-label")?,
                power_state: XAPI.value("vm", uuid, "power-state")?,
            })
        })
        .collect();
    let (vms, hosts) = (vms?, hosts()?);
    let whole = hosts.iter().all(|host| host.problem().is_none());
    vgpu_terminal::print("the list", |out| match args.json {
        true => vgpu_terminal::json(out, &serde_json::json!({ "vms": vms, "hosts": hosts })),
        false => out.write_all(table(&vms, &hosts).as_bytes()),
    })?;
    Ok(ExitCode::from(u8::from(!whole)))
}

fn table(vms: &[Vm], hosts: &[PoolHost]) -> String {
    let mut text = String::new();
    for vm in vms {
        text += &format!(
            "VM    {}  {:9}  {}\n",
            vm.uuid,
            Printable(&vm.power_state),
            Printable(&vm.name)
        );
    }
    if vms.is_empty() {
        text += "no VM is to have the device\n";
    }
    for host in hosts {
        let said = match (host.problem(), &host.status) {
            (None, Some(status)) => format!(
                "vgpu-stub {}, {} devices running",
                status["version"].as_str().unwrap_or("?"),
                status["devices"]
            ),
            (problem, _) => problem.unwrap_or_default(),
        };
        let (name, said) = (Printable(&host.name), Printable(&said));
        text += &format!("host  {}  {name}: {said}\n", host.uuid);
    }
    text
}
