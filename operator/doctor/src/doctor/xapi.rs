//! What XAPI says of where a VM runs.

use vgpu_terminal::Failure;
use vgpu_xcp_ng::{Uuid, Xe};

use super::host::Host;

/// What XCP-ng's installer has written of this host, in lines such as
/// `INSTALLATION_UUID='…'`.
pub(super) const INVENTORY: &str = "/etc/xensource-inventory";

/// The number of the running domain; None where it does not run. A number
/// counts on the host of the VM alone: here it may be another VM's.
pub(super) fn domain_here(host: &Host, name: &str, vm: &Uuid) -> Result<Option<u16>, Failure> {
    let xe = Xe::within(host.limit);
    let field = |field: &str| xe.value("vm", vm, field).ok();
    // It is -1 where it does not run.
    let Some(domain) = field("dom-id").and_then(|domain| domain.parse().ok()) else {
        return Ok(None);
    };
    // Where XAPI knows none, it prints words in its place.
    let there = field("resident-on").and_then(|there| there.parse().ok());
    match (there, own_uuid(host)) {
        (Some(there), Some(here)) if there != here => Err(elsewhere(xe, name, &there)),
        _ => Ok(Some(domain)),
    }
}

/// XAPI's name for this host.
fn own_uuid(host: &Host) -> Option<Uuid> {
    let inventory = host.text(INVENTORY).ok()?;
    let mut lines = inventory.lines();
    let uuid = lines.find_map(|line| line.strip_prefix("INSTALLATION_UUID="))?;
    uuid.trim().trim_matches('\'').parse().ok()
}

fn elsewhere(xe: Xe, name: &str, there: &Uuid) -> Failure {
    let label = xe.value("host", there, "name-label").unwrap_or_default();
    let label = match label.trim() {
        "" => there.to_string(),
        label => label.to_owned(),
    };
    Failure::new(
        format!("VM {name:?} runs on another host, {label}"),
        format!("run the doctor there; xe host-list uuid={there} shows that host"),
    )
}
