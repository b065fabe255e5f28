//! XAPI, by its command `xe`. It speaks for the whole pool.

use std::time::Duration;

use vgpu_program::RunError;
use vgpu_terminal::Failure;

use crate::uuid::Uuid;

/// What to do where XAPI does not do what it is asked.
const XAPI_RUNS: &str = "see that XAPI runs: systemctl status xapi";

/// XAPI, for who waits until it answers: what it does for the pool may take long.
pub(crate) const XAPI: Xe = Xe { limit: None };

/// XAPI, as `xe` reaches it.
#[derive(Clone, Copy, Debug)]
pub struct Xe {
    /// How long a call may take.
    limit: Option<Duration>,
}

impl Xe {
    /// XAPI, for who waits no longer than this for each answer.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        let limit = Some(limit);
        Self { limit }
    }

    /// Calls `xe` and returns what it prints, without the last end of line.
    ///
    /// # Errors
    ///
    /// It cannot be run, does not answer in time, or says that it failed.
    pub fn call(&self, words: &[&str]) -> Result<String, Failure> {
        if words.iter().any(|word| word.contains('\n')) {
            // It would be two of XAPI's arguments.
            return Err(Failure::new(
                "xe takes no argument with an end of line in it",
                "give the VM's UUID in place of its name",
            ));
        }
        match vgpu_program::output("xe", words, self.limit) {
            Ok(said) => Ok(said.trim_end_matches('\n').to_owned()),
            Err(RunError::NotStarted(error)) => Err(Failure::new(
                format!("cannot run xe: {error}"),
                "run this as root in dom0 of an XCP-ng host",
            )),
            Err(RunError::TimedOut) => Err(Failure::new(
                format!("xe {} has no end in time", words[0]),
                XAPI_RUNS,
            )),
            Err(RunError::Failed(said)) => {
                let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Vec<&str> = lines.collect();
                Err(Failure::new(
                    format!("xe {} failed: {}", words[0], lines.join(" ")),
                    XAPI_RUNS,
                ))
            }
        }
    }

    /// The value of a key in a map of a VM.
    ///
    /// # Errors
    ///
    /// See [`Xe::call`].
    pub fn map_value(&self, vm: &Uuid, map: &str, key: &str) -> Result<Option<String>, Failure> {
        let name = format!("param-name={map}");
        let key = format!("param-key={key}");
        match self.call(&["vm-param-get", &uuid(vm), &name, &key]) {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.cause.contains("not found in map") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The keys of a map of a VM that has no `; ` in its values.
    ///
    /// # Errors
    ///
    /// See [`Xe::call`].
    pub fn keys(&self, vm: &Uuid, map: &str) -> Result<Vec<String>, Failure> {
        let text = self.call(&["vm-param-get", &uuid(vm), &format!("param-name={map}")])?;
        let keys = text.split("; ").filter_map(|entry| entry.split_once(": "));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// Sets values in maps of a VM, in this order.
    ///
    /// # Errors
    ///
    /// See [`Xe::call`]. The first ones may be set then.
    pub fn set(&self, vm: &Uuid, values: &[(&str, &str, &str)]) -> Result<(), Failure> {
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
        self.call(&words).map(drop)
    }

    /// Removes a key from a map of a VM.
    ///
    /// # Errors
    ///
    /// See [`Xe::call`].
    pub fn remove(&self, vm: &Uuid, map: &str, key: &str) -> Result<(), Failure> {
        let name = format!("param-name={map}");
        let key = format!("param-key={key}");
        self.call(&["vm-param-remove", &uuid(vm), &name, &key])
            .map(drop)
    }

    /// The UUIDs of what a `xe …-list` finds.
    ///
    /// # Errors
    ///
    /// See [`Xe::call`].
    pub fn list(&self, words: &[&str]) -> Result<Vec<Uuid>, Failure> {
        let words = [words, &["params=uuid", "--minimal"]].concat();
        let found = self.call(&words)?;
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
    /// See [`Xe::call`].
    pub fn value(&self, class: &str, of: &Uuid, field: &str) -> Result<String, Failure> {
        let command = format!("{class}-param-get");
        self.call(&[&command, &uuid(of), &format!("param-name={field}")])
    }

    /// The VM that has this UUID or this name.
    ///
    /// # Errors
    ///
    /// There is none, or there are several; and see [`Xe::call`].
    pub fn find(&self, name: &str) -> Result<Uuid, Failure> {
        let filter = match name.parse::<Uuid>() {
            Ok(uuid) => format!("uuid={uuid}"),
            Err(_) => format!("name-label={name}"),
        };
        let found = self.list(&["vm-list", &filter])?;
        match found.as_slice() {
            [vm] => Ok(vm.clone()),
            [] => Err(Failure::new(
                format!("there is no VM '{name}'"),
                "see xe vm-list",
            )),
            several => Err(Failure::new(
                format!("{} VMs have the name '{name}'", several.len()),
                "give the UUID of one, as xe vm-list shows it",
            )),
        }
    }
}

fn uuid(vm: &Uuid) -> String {
    format!("uuid={vm}")
}
