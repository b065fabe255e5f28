//! What XAPI says of a VM, by its command `xe`. It speaks for the whole pool.

use vgpu_terminal::Failure;

use super::host::Host;
use super::no_domain::no_domain;

/// What XCP-ng's installer has written of this host, in lines such as
/// `INSTALLATION_UUID='…'`.
pub(super) const INVENTORY: &str = "/etc/xensource-inventory";

/// The uuid of the VM with this name, or this uuid.
pub(super) fn uuid_of(host: &Host, name: &str) -> Result<String, Failure> {
    let by = |field: &str| {
        let filter = format!("{field}={name}");
        host.run("xe", &["vm-list", &filter, "params=uuid", "--minimal"])
    };
    let mut uuids = by("name-label").map_err(|error| no_domain(name, &error))?;
    if uuids.trim().is_empty() {
        uuids = by("uuid").unwrap_or_default();
    }
    let uuid = uuids.trim();
    if uuid.is_empty() || uuid.contains(',') {
        let how_many = if uuid.is_empty() {
            "no"
        } else {
            "more than one"
        };
        return Err(Failure::new(
            format!("there is {how_many} VM called {name:?}"),
            "give its uuid; xe vm-list lists them",
        ));
    }
    Ok(uuid.to_owned())
}

/// The number of the running domain; None where it does not run. A number
/// counts on the host of the VM alone: here it may be another VM's.
pub(super) fn domain_here(host: &Host, name: &str, uuid: &str) -> Result<Option<u16>, Failure> {
    let field = |field: &str| {
        let words = [&format!("uuid={uuid}"), &format!("param-name={field}")];
        let value = host.run("xe", &["vm-param-get", words[0], words[1]]);
        value.ok().map(|value| value.trim().to_owned())
    };
    // It is -1 where it does not run.
    let Some(domain) = field("dom-id").and_then(|domain| domain.parse().ok()) else {
        return Ok(None);
    };
    match (field("resident-on"), own_uuid(host)) {
        (Some(there), Some(here)) if is_uuid(&there) && there != here => {
            Err(elsewhere(host, name, &there))
        }
        _ => Ok(Some(domain)),
    }
}

/// Where XAPI knows none, it prints words in its place.
fn is_uuid(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    text.len() == 36 && text.bytes().all(part)
}

/// XAPI's name for this host.
fn own_uuid(host: &Host) -> Option<String> {
    let inventory = host.text(INVENTORY).ok()?;
    let mut lines = inventory.lines();
    let uuid = lines.find_map(|line| line.strip_prefix("INSTALLATION_UUID="))?;
    Some(uuid.trim().trim_matches('\'').to_owned())
}

fn elsewhere(host: &Host, name: &str, there: &str) -> Failure {
    let uuid = format!("uuid={there}");
    let label = host.run(
        "xe",
        &["host-list", &uuid, "params=name-label", "--minimal"],
    );
    let label = label.unwrap_or_default();
    let label = match label.trim() {
        "" => there,
        label => label,
    };
    Failure::new(
        format!("VM {name:?} runs on another host, {label}"),
        format!("run the doctor there; xe host-list uuid={there} shows that host"),
    )
}
