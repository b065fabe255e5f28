//! `vgpu-stub xl-config`: what to add to a domain's configuration.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{OFlags, fcntl_getfl};
use vgpu_emulator::{DeviceProperties, as_qemu, placed};
use vgpu_new_file::{NewFile, Permissions, beside};
use vgpu_terminal::Failure;
use vgpu_terminal::shell::quoted;

use super::device_arguments::DEVICE;
use super::device_model::{self, NAME};
use super::xl_file::{Value, XlFile};

/// Where the device model that xl starts is installed.
pub const DEVICE_MODEL: &str = "/usr/lib/vgpu-stub/vgpu-stub-device-model";

/// xl's names of what is set.
pub const MODEL: &str = "device_model_override";
const VERSION: &str = "device_model_version";
/// The lists of a domain's further arguments of QEMU; to the first is added.
pub const ARGUMENTS: [&str; 2] = ["device_model_args", "device_model_args_hvm"];

/// The QEMU whose arguments these are, as xl calls it.
const QEMU: &str = "qemu-xen";

/// The type of a domain that has a PCI bus.
const HVM: &str = "hvm";

/// What is said of a configuration that has no type.
const PV: &str = "without type = \"hvm\" xl makes a PV domain, which has no PCI bus for the device";

/// What is read of a file, at most.
const MOST: u64 = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub xl-config --file /etc/xen/vm.cfg
  vgpu-stub xl-config --file /etc/xen/vm.cfg --device slot=0x1a,bar0-size=64K
  vgpu-stub xl-config >>/etc/xen/vm.cfg

Exit code: 0 if the file has them, or they were printed, 2 otherwise, and
nothing was changed.";

const DETAILS: &str = "\
What the VM has stays: further devices and arguments of QEMU are added to
(+=), and lines that are there already are not written again. Where the VM has
another device model, or other devices of this kind, nothing is written, and
the mend says what to change.

With --file, the new file takes the old one's place at once, with its owner and
permissions; the old one is kept beside it as .NAME.vgpu-stub-backup. A file
that '>>' leads to is looked at in the same way. Other output is printed as for
an empty file; it goes to the end of a configuration.";

/// Give a domain of xl the device: add to its configuration, or print the lines.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub struct Args {
    /// Add the lines to this configuration, if it lacks them
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Properties of a device, as for 'vgpu-stub xen'; may be repeated
    /// [default: one device in slot 0x18]
    #[arg(long, value_name = "NAME=VALUE,…")]
    device: Vec<String>,

    /// The device model that xl starts: a link of this name to vgpu-stub
    #[arg(
        long,
        value_name = "PATH",
        default_value = DEVICE_MODEL
    )]
    device_model: PathBuf,
}

/// Writes the lines.
///
/// # Errors
///
/// A property is wrong, the configuration has what does not go with the
/// device, or it cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let wanted = Wanted::of(args)?;
    match &args.file {
        Some(path) => wanted.add_to(path)?,
        None => wanted.print()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the configuration is to have.
struct Wanted<'a> {
    model: &'a str,
    /// The values of `-device`.
    devices: Vec<String>,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        // xl looks from a folder of its own, and needs no escapes for these.
        let model = args.device_model.to_str();
        let plain = |path: &&str| path.starts_with('/') && !path.contains(['"', '\\', '\n']);
        let model = model.filter(plain).ok_or_else(|| {
            Failure::new(
                format!(
                    "--device-model {:?} is no full path of plain text",
                    args.device_model
                ),
                format!("give a path such as {DEVICE_MODEL}"),
            )
        })?;
        let mut devices = Vec::new();
        let mut given = Vec::new();
        for device in &args.device {
            let properties: DeviceProperties = device.parse().map_err(|cause| {
                Failure::new(
                    format!("--device: {cause}"),
                    "see vgpu-stub xen --help for the properties",
                )
            })?;
            let words = match properties.slot {
                Some(slot) => as_qemu(device, slot),
                None => device.clone(),
            };
            devices.push(format!("{DEVICE},{words}"));
            given.push(properties);
        }
        placed(&given)?;
        if devices.is_empty() {
            devices.push(DEVICE.to_owned());
        }
        Ok(Self { model, devices })
    }

    /// The lines that a configuration lacks.
    fn lacking(&self, file: &XlFile) -> Result<String, Failure> {
        let mut lines = String::new();
        let cannot = |cause: String, mend: String| Err(Failure::new(cause, mend));
        if let Some((name, value, false)) = domain_type(file) {
            return cannot(
                format!("the domain has no PCI bus, as it is not HVM: {name} = \"{value}\""),
                format!("have the configuration say {name} = \"{HVM}\", if the VM can be one"),
            );
        }
        match file.get(VERSION) {
            None => lines += &format!("{VERSION} = \"{QEMU}\"\n"),
            Some(Value::Text(version)) if version == QEMU => {}
            Some(_) => {
                return cannot(
                    format!("the configuration has another {VERSION} than \"{QEMU}\""),
                    format!("take {VERSION} out of it, if the VM can do with \"{QEMU}\""),
                );
            }
        }
        match file.get(MODEL) {
            None => lines += &format!("{MODEL} = \"{}\"\n", self.model),
            Some(Value::Text(model)) if model == self.model => {}
            // Another link to this program.
            Some(Value::Text(model)) if model.ends_with(NAME) && self.model == DEVICE_MODEL => {}
            Some(Value::Text(model)) => {
                return cannot(
                    format!("the VM has a device model of its own: {MODEL} = \"{model}\""),
                    format!(
                        "take that line out, and have xl start that one behind the device: VGPU_STUB_QEMU={} xl create …",
                        quoted(model)
                    ),
                );
            }
            Some(Value::List(_)) => {
                return cannot(
                    format!("{MODEL} is a list, which xl does not take"),
                    format!("take {MODEL} out of the configuration"),
                );
            }
        }
        let mut words = Vec::new();
        for name in ARGUMENTS {
            if matches!(file.get(name), Some(Value::Text(_))) {
                return cannot(
                    format!("{name} is a text, and xl takes a list"),
                    format!("write {name} = [ \"…\", \"…\" ] in the configuration"),
                );
            }
            words.extend(file.texts(name));
        }
        let has = device_model::named(&words);
        if has.is_empty() {
            let words = self
                .devices
                .iter()
                .map(|device| format!("\"-device\", \"{device}\""));
            let words: Vec<String> = words.collect();
            lines += &format!("{} += [ {} ]\n", ARGUMENTS[0], words.join(", "));
        } else if device_model::devices(words.clone())? != device_model::devices(self.words())? {
            return cannot(
                format!("the VM has other devices of this kind: {}", has.join(" ")),
                format!(
                    "take them out of {} first, or change them there",
                    ARGUMENTS[0]
                ),
            );
        }
        Ok(lines)
    }

    /// As arguments of QEMU.
    fn words(&self) -> Vec<String> {
        let devices = self.devices.iter();
        let words = devices.flat_map(|device| ["-device".to_owned(), device.clone()]);
        words.collect()
    }

    /// Prints them for who puts them into a configuration.
    fn print(&self) -> Result<(), Failure> {
        let alone = || self.lacking(&XlFile::default());
        let Addition { text, note } = match appended_to() {
            Some(old) => self.to_append(&old)?,
            None if io::stdout().is_terminal() => Addition::new(alone()?),
            // Nobody knows how what comes before them ends.
            None => Addition::new(format!("\n{}", alone()?)),
        };
        vgpu_terminal::print("the lines", |out| out.write_all(text.as_bytes()))?;
        tell(note);
        Ok(())
    }

    /// What to append to a configuration; nothing where it has all.
    fn to_append(&self, old: &[u8]) -> Result<Addition, Failure> {
        let end: &[u8] = match old.last() {
            None | Some(b'\n') => b"",
            // It may be a comment's.
            Some(_) => b"\n",
        };
        let file = XlFile::parse(&[old, end].concat()).map_err(|error| {
            Failure::new(
                format!("xl cannot read the configuration: {error}"),
                "mend that line first; xl create -n FILE tells how xl sees it",
            )
        })?;
        let lines = self.lacking(&file)?;
        if lines.is_empty() {
            return Ok(Addition {
                text: lines,
                note: Some("the configuration has these lines already"),
            });
        }
        Ok(Addition {
            text: String::from_utf8_lossy(end).into_owned() + &lines,
            note: domain_type(&file).is_none().then_some(PV),
        })
    }

    /// Adds them to the file.
    fn add_to(&self, path: &Path) -> Result<(), Failure> {
        // A link stays one.
        let path = path
            .canonicalize()
            .map_err(|error| cannot_read(path, &error))?;
        let (old, like) = read(&path).map_err(|error| cannot_read(&path, &error))?;
        let Addition { text: lines, note } = self.to_append(&old)?;
        let mut out = io::stdout().lock();
        // That nobody hears it undoes nothing.
        let mut say = |line: String| drop(writeln!(out, "{line}"));
        if lines.is_empty() {
            say(format!("{} has the device already", path.display()));
            return Ok(());
        }
        let backup = beside(&path, ".", ".vgpu-stub-backup");
        let replace = || -> io::Result<()> {
            let new = beside(&path, ".", ".vgpu-stub-new");
            let new = NewFile::write(
                new,
                &mut [&old, lines.as_bytes()].concat().as_slice(),
                Permissions::Like(&like),
            )?;
            NewFile::write(
                beside(&path, ".", ".vgpu-stub-old"),
                &mut &*old,
                Permissions::Like(&like),
            )?
            .rename(&backup)?;
            new.rename(&path)?;
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        replace().map_err(|error| {
            Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "run it as root, and see that the folder can be written and has room",
            )
        })?;
        say(format!("{}: added", path.display()));
        for line in lines.lines().filter(|line| !line.is_empty()) {
            say(format!("  {line}"));
        }
        say(format!("before: {}", backup.display()));
        tell(note);
        Ok(())
    }
}

/// What is added to a configuration, and what its owner should know.
struct Addition {
    text: String,
    note: Option<&'static str>,
}

impl Addition {
    fn new(text: String) -> Self {
        Self { text, note: None }
    }
}

fn tell(note: Option<&str>) {
    if let Some(note) = note {
        // That nobody hears it undoes nothing.
        let _ = writeln!(io::stderr(), "note: {note}");
    }
}

/// What says whether the domain is HVM, with its value, and whether it says so;
/// `None` where nothing does, and the domain is PV (Xen: tools/xl/xl_parse.c).
fn domain_type(file: &XlFile) -> Option<(&'static str, &str, bool)> {
    match (file.text("type"), file.text("builder")) {
        (Some(value), _) => Some(("type", value, value.eq_ignore_ascii_case(HVM))),
        // xl takes its first letters too.
        (None, Some(value)) => Some(("builder", value, HVM.starts_with(value))),
        (None, None) => None,
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot read {}: {error}", path.display()),
        "name the VM's configuration for xl: --file FILE",
    )
}

/// A configuration and what it is as a file.
fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let like = fs::metadata(path)?;
    if !like.is_file() || like.len() > MOST {
        return Err(io::Error::other("this is no configuration of xl"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok((bytes, like))
}

/// What is in the file that stdout is appended to (`>>`), where it can be read.
fn appended_to() -> Option<Vec<u8>> {
    let appends = fcntl_getfl(io::stdout()).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    // A terminal or a pipe cannot be read again.
    let file = appends.then(|| read(Path::new("/proc/self/fd/1")))?;
    file.ok().map(|(bytes, _)| bytes)
}
