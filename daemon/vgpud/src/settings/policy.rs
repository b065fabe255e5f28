//! Where the operator's word is read, and who may attach by it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::geteuid;
use uuid::Uuid;

use super::file;
use super::types::{EngineSettings, MachineSettings, Settings, WorkerSettings};

/// Where that is written, and what it says.
#[derive(Debug)]
pub struct Policy {
    file: Option<PathBuf>,
    /// The kind of engine where the file names none.
    engine: String,
    settings: Settings,
}

/// The machines of a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Machines {
    /// All, each with these.
    Any(MachineSettings),
    /// These.
    Listed(BTreeMap<Uuid, MachineSettings>),
}

impl Machines {
    pub(crate) fn settings(&self, machine: Uuid) -> Option<&MachineSettings> {
        match self {
            Self::Any(settings) => Some(settings),
            Self::Listed(machines) => machines.get(&machine),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(machines) if machines.is_empty())
    }
}

impl Policy {
    /// That of a file; without one, only this daemon's own user may attach, for any machine. `engine` is the name of the
    /// kind of engine, where the file names none.
    ///
    /// # Errors
    /// The file is wrong, in one line.
    pub fn new(file: Option<PathBuf>, engine: &str) -> Result<Self, String> {
        let settings = Settings {
            engines: vec![EngineSettings::usual(engine)],
            machines: BTreeMap::new(),
            workers: WorkerSettings::default(),
        };
        let mut policy = Self {
            file,
            engine: engine.to_owned(),
            settings,
        };
        policy.settings = policy.read()?;
        Ok(policy)
    }

    fn read(&self) -> Result<Settings, String> {
        let Some(path) = &self.file else {
            return Ok(self.settings.clone());
        };
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = file::read(path).map_err(|error| told(&error))?;
        let parsed = file::parse(&text, &self.engine);
        parsed.map_err(|(line, error)| format!("{}:{line}: {error}", path.display()))
    }

    /// Reads the file anew. Where it is wrong, all is as it was.
    ///
    /// # Errors
    /// What is wrong with it, in one line; or it names other engines, which takes a new daemon.
    pub(crate) fn reload(&mut self) -> Result<(), String> {
        let settings = self.read()?;
        let made_of = |settings: &Settings| {
            let engines = settings.engines.iter();
            let engines = engines.map(|it| (it.name.clone(), it.kind.clone(), it.tuning));
            engines.collect::<Vec<_>>()
        };
        if made_of(&settings) != made_of(&self.settings) {
            return Err("other engines than this daemon was started with".to_owned());
        }
        if settings.workers != self.settings.workers {
            return Err("other [workers] than this daemon was started with".to_owned());
        }
        self.settings = settings;
        Ok(())
    }

    /// What it says.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether others than this daemon's user may attach.
    #[must_use]
    pub const fn is_for_others(&self) -> bool {
        self.file.is_some()
    }

    /// The machines that a user's emulators may attach for.
    pub(crate) fn of_user(&self, user: u32) -> Machines {
        if self.file.is_none() && user == geteuid().as_raw() {
            return Machines::Any(MachineSettings::usual(user, self.settings.engines.len()));
        }
        let machines = self.settings.machines.iter();
        let machines = machines.filter(|(_, settings)| settings.uid == user);
        let machines = machines.map(|(uuid, settings)| (*uuid, settings.clone()));
        Machines::Listed(machines.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use vgpu_sched::{Config, Priority, Rate, Share};

    use super::super::types::Limits;
    use super::file::parse;
    use super::*;

    const UUID: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    const OTHER: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca428";

    #[test]
    fn a_machine_has_what_is_said_and_else_what_is_usual() {
        let text = format!(
            "[[engine]]\nname = \"a\"\nkind = \"cpu\"\nkernel-us = 500\nwindow-us = 700\nstrikes = 7\n\
             [[engine]]\nname = \"b\"\nkind = \"null\"\nmemory-mib = 64\nwatchdog-ms = 3\n\
             [[pool]]\nname = \"default\"\nengines = [\"a\", \"b\"]\n\
             [[pool]]\nname = \"one\"\nengines = [\"b\"]\n\
             [[machine]]\nuuid = \"{UUID}\"\nuid = 7\nchannels = 2\nmemory-mib = 3\nweight = 300\n\
             priority = \"high\"\ncap-percent = 25\nrate-percent = 10\nburst-ms = 5\npool = \"one\"\n\
             device-memory-mib = 512\n\
             [[machine]]\nuuid = \"{OTHER}\"\nuid = 8\n"
        );
        let settings = parse(&text, "cpu").unwrap();
        let [a, b] = &settings.engines[..] else {
            panic!()
        };
        let usual = Config::default();
        assert_eq!(
            (
                a.name.as_str(),
                a.kind.as_str(),
                a.tuning.kernel.as_micros()
            ),
            ("a", "cpu", 500)
        );
        assert_eq!(
            a.config,
            Config {
                window: 700_000,
                strikes: 7,
                ..usual
            }
        );
        assert_eq!(
            (b.tuning.memory, b.config.watchdog),
            (Some(64 << 20), 3_000_000)
        );
        let [uuid, other] = [UUID, OTHER].map(|uuid| Uuid::try_parse(uuid).unwrap());
        let machine = &settings.machines[&uuid];
        assert_eq!(
            machine.limits,
            Limits {
                channels: 2,
                memory: 3 << 20
            }
        );
        assert_eq!(
            (machine.device_memory, machine.engines.as_slice()),
            (512 << 20, &[1][..])
        );
        let rate = |millionths, burst| Some(Rate { millionths, burst });
        assert_eq!(
            machine.share,
            Share {
                weight: 300,
                priority: Priority::High,
                cap: rate(250_000, 2_000_000),
                rate: rate(100_000, 5_000_000),
                sessions: 2,
                ..Share::default()
            }
        );
        assert_eq!(settings.machines[&other], MachineSettings::usual(8, 2));
        let empty = parse("", "null").unwrap();
        assert_eq!(empty.engines, [EngineSettings::usual("null")]);
        assert!(empty.machines.is_empty());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let machine = format!("[[machine]]\nuuid = \"{UUID}\"\nuid = 7\n");
        let engine = "[[engine]]\nname = \"a\"\nkind = \"cpu\"\n";
        let pool = "[[pool]]\nname = \"p\"\nengines = [\"a\"]\n";
        let shouted = machine.replace(UUID, &UUID.to_uppercase());
        for (text, line, said) in [
            ("\nx = 1\n".to_owned(), 2, "unknown field"),
            ("\n\n[[machine]\n".to_owned(), 3, ""),
            (format!("{machine}channel = 1\n"), 4, "unknown field"),
            (format!("{machine}channels = 0\n"), 4, "from 1 to 256"),
            (format!("{machine}channels = 257\n"), 4, "from 1 to 256"),
            (format!("{machine}memory-mib = -1\n"), 4, ""),
            (format!("{machine}memory-mib = 2000000\n"), 4, "from 1 to"),
            (
                format!("{machine}weight = 0\n"),
                4,
                "weight is from 1 to 10000",
            ),
            (
                format!("{machine}priority = \"urgent\"\n"),
                4,
                "unknown variant",
            ),
            (
                format!("{machine}cap-percent = 101\n"),
                4,
                "cap-percent is from 1 to 100",
            ),
            (format!("{machine}pool = \"x\"\n"), 4, "no pool \"x\""),
            (format!("{engine}{pool}{machine}"), 8, "no pool \"default\""),
            (format!("{machine}{machine}"), 5, "twice"),
            (format!("{machine}{shouted}"), 5, "twice"),
            ("[[machine]]\nuuid = \"x\"\nuid = 7\n".to_owned(), 2, ""),
            (format!("[[machine]]\nuuid = \"{UUID}\"\n"), 1, "uid"),
            (machine.replace('7', "\"root\""), 2, ""),
            (format!("{engine}{engine}"), 5, "twice"),
            (engine.replace("cpu", "abacus"), 3, "kind is one of cpu, "),
            (format!("{engine}window-us = 0\n"), 4, "window-us is from 1"),
            (format!("{engine}{pool}{pool}"), 8, "twice"),
            (pool.to_owned(), 3, "no engine \"a\""),
            ("\n[workers]\nuid-base = 7\n".to_owned(), 3, "from 65536 on"),
            ("[workers]\nuids = 0\n".to_owned(), 2, "from 65536 on"),
            (
                "[workers]\nuid-base = 2013265920\n".to_owned(),
                2,
                "Xen's emulators",
            ),
            (
                "[[pool]]\nname = \"p\"\nengines = []\n".to_owned(),
                2,
                "without engines",
            ),
        ] {
            let (found, error) = parse(&text, "cpu").unwrap_err();
            assert!(
                found == line && error.contains(said),
                "{text}{found}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_file_that_others_write_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.toml");
        let policy = || {
            Policy::new(Some(path.clone()), "cpu")
                .map(drop)
                .unwrap_err()
        };
        assert!(policy().contains("link.toml: "), "there is none");
        fs::write(&path, "").unwrap();
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(policy().contains("others can write"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Policy::new(Some(path.clone()), "cpu").unwrap();
        fs::write(&path, "x").unwrap();
        assert!(policy().contains("link.toml:1: "), "{}", policy());
        fs::rename(&path, folder.path().join("real")).unwrap();
        symlink("real", &path).unwrap();
        policy();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(policy().contains("no regular file"));
    }

    #[test]
    fn a_wrong_file_changes_nothing_and_engines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.toml");
        let machine = |rest: &str| format!("[[machine]]\nuuid = \"{UUID}\"\nuid = 7\n{rest}");
        fs::write(&path, machine("weight = 5\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut policy = Policy::new(Some(path.clone()), "cpu").unwrap();
        let uuid = Uuid::try_parse(UUID).unwrap();
        let weight = |policy: &Policy| policy.settings().machines[&uuid].share.weight;
        let engine = "[[engine]]\nname = \"a\"\nkind = \"cpu\"\n";
        for (text, said) in [
            (machine("weight = 0\n"), "weight"),
            (machine("weight = 6\n") + engine, "other engines"),
            (machine("[workers]\nown-users = false\n"), "other [workers]"),
        ] {
            fs::write(&path, text).unwrap();
            assert!(policy.reload().unwrap_err().contains(said));
            assert_eq!(weight(&policy), 5);
        }
        fs::write(&path, machine("weight = 7\n")).unwrap();
        policy.reload().unwrap();
        assert_eq!(weight(&policy), 7);
        assert!(policy.of_user(7).settings(uuid).is_some());
        assert!(policy.of_user(8).is_empty());
    }

    #[test]
    fn without_a_file_it_is_the_own_user() {
        let policy = Policy::new(None, "cpu").unwrap();
        let own = geteuid().as_raw();
        assert!(policy.of_user(own).settings(Uuid::nil()).is_some());
        assert!(policy.of_user(own + 1).is_empty());
    }
}
