//! XAPI, by its command `xe`.

use std::process::{Command, Stdio};

use vgpu_terminal::Failure;

use crate::uuid::Uuid;

/// Calls `xe` and returns what it prints, without the last end of line.
///
/// # Errors
///
/// It cannot be run, or says that it failed.
pub(crate) fn call(words: &[&str]) -> Result<String, Failure> {
    if words.iter().any(|word| word.contains('\n')) {
        // It would be two of XAPI's arguments.
        return Err(Failure::new(
            "xe takes no argument with an end of line in it",
            "give the VM's UUID in place of its name",
        ));
    }
    let output = Command::new("xe")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Failure::new(
                format!("cannot run xe: {error}"),
                "run this as root in dom0 of an XCP-ng host",
            )
        })?;
    if output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Ok(said.trim_end_matches('\n').to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    Err(Failure::new(
        format!("xe {} failed: {}", words[0], lines.join(" ")),
        "see that XAPI runs: systemctl status xapi",
    ))
}

/// The value of a key in a map of a VM.
///
/// # Errors
///
/// See [`call`].
pub(crate) fn map_value(vm: &Uuid, map: &str, key: &str) -> Result<Option<String>, Failure> {
    let name = format!("param-name={map}");
    let key = format!("param-key={key}");
    match call(&["vm-param-get", &uuid(vm), &name, &key]) {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.cause.contains("not found in map") => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The keys of a map of a VM that has no `; ` in its values.
///
/// # Errors
///
/// See [`call`].
pub(crate) fn keys(vm: &Uuid, map: &str) -> Result<Vec<String>, Failure> {
    let text = call(&["vm-param-get", &uuid(vm), &format!("param-name={map}")])?;
    let keys = text.split("; ").filter_map(|entry| entry.split_once(": "));
    Ok(keys.map(|(key, _)| key.to_owned()).collect())
}

/// Sets values in maps of a VM, in this order.
///
/// # Errors
///
/// See [`call`]. The first ones may be set then.
pub(crate) fn set(vm: &Uuid, values: &[(&str, &str, &str)]) -> Result<(), Failure> {
    if values.is_empty() {
        return Ok(());
    }
    let values: Vec<String> = values
        .iter()
        .map(|(map, key, value)| format!("{map}:{key}={value}"))
        .collect();
    let vm = uuid(vm);
    let mut words = vec!["vm-param-set", &vm];
    words.extend(values.iter().map(String::as_str));
    call(&words).map(drop)
}

/// Removes a key from a map of a VM.
///
/// # Errors
///
/// See [`call`].
pub(crate) fn remove(vm: &Uuid, map: &str, key: &str) -> Result<(), Failure> {
    let name = format!("param-name={map}");
    let key = format!("param-key={key}");
    call(&["vm-param-remove", &uuid(vm), &name, &key]).map(drop)
}

/// The UUIDs of what a `xe …-list` finds.
///
/// # Errors
///
/// See [`call`].
pub(crate) fn list(words: &[&str]) -> Result<Vec<Uuid>, Failure> {
    let words = [words, &["params=uuid", "--minimal"]].concat();
    let found = call(&words)?;
    found
        .split(',')
        .filter(|uuid| !uuid.is_empty())
        .map(|uuid| {
            uuid.parse().map_err(|cause| {
                Failure::new(format!("xe {} says: {cause}", words[0]), "see xe --help")
            })
        })
        .collect()
}

/// A field of a VM or host.
///
/// # Errors
///
/// See [`call`].
pub(crate) fn value(class: &str, of: &Uuid, field: &str) -> Result<String, Failure> {
    let command = format!("{class}-param-get");
    call(&[&command, &uuid(of), &format!("param-name={field}")])
}

fn uuid(vm: &Uuid) -> String {
    format!("uuid={vm}")
}
