//! `vgpu-stub xl-config`: what a configuration has stays, however the lines get into it.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use vgpu_xl::xl_file::{Value, XlFile};

const MODEL: &str = "/usr/lib/vgpu-stub/vgpu-stub-device-model";

struct Config {
    folder: TempDir,
}

impl Config {
    fn new(text: &str) -> Self {
        let config = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::write(config.path(), text).unwrap();
        config
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vm.cfg")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// What xl makes of it.
    fn read(&self) -> XlFile {
        XlFile::parse(self.text().as_bytes()).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
        command.arg("xl-config");
        command
    }

    fn add(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.arg("--file").arg(self.path()).args(arguments);
        command.output().unwrap()
    }

    /// As a shell does for `>>`.
    fn append(&self) -> Output {
        let file = File::options().append(true).open(self.path()).unwrap();
        self.command().stdout(file).output().unwrap()
    }

    /// By a pipe, as `| tee -a` does.
    fn piped(&self) -> Output {
        let output = self.command().output().unwrap();
        let text = self.text() + &String::from_utf8_lossy(&output.stdout);
        fs::write(self.path(), text).unwrap();
        output
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn succeeds(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Two lines, and no change.
fn refused(config: &Config, output: &Output, before: &str, cause: &str, mend: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<_> = said.lines().collect();
    let [first, second] = lines[..] else {
        panic!("{said}");
    };
    assert!(first.contains(cause) && second.contains(mend), "{said}");
    assert_eq!(config.text(), before);
    assert_eq!(config.names(), ["vm.cfg"]);
}

type Way = fn(&Config) -> Output;
const WAYS: [(&str, Way); 3] = [
    ("--file", |config| config.add(&[])),
    (">>", Config::append),
    ("|", Config::piped),
];

#[test]
fn what_a_configuration_has_stays() {
    for (before, words) in [
        ("", &[][..]),
        ("name = \"vm1\"\nmemory = 512", &[]),
        ("name = 'vm1' # end", &[]),
        (
            "device_model_args = [ \"-device\", \"virtio-rng-pci\" ]\n",
            &["-device", "virtio-rng-pci"],
        ),
        (
            "device_model_args = [ '-device', 'virtio-rng-pci', ]",
            &["-device", "virtio-rng-pci"],
        ),
        (
            "device_model_args = [ ]\ndevice_model_version = 'qemu-xen'",
            &[],
        ),
    ] {
        for (way, write) in WAYS {
            let config = Config::new(before);
            succeeds(&write(&config));
            let text = config.text();
            assert!(text.starts_with(before), "{way}: {text}");
            let file = config.read();
            let words = [words, &["-device", "vgpu-stub"]].concat();
            assert_eq!(file.texts("device_model_args"), words, "{way}: {text}");
            assert_eq!(file.text("device_model_override"), Some(MODEL), "{way}");
            assert_eq!(file.text("device_model_version"), Some("qemu-xen"), "{way}");
            if before.contains("name") {
                assert_eq!(file.text("name"), Some("vm1"), "{way}");
            }
        }
    }
}

#[test]
fn what_is_there_is_not_written_again() {
    let config = Config::new("name = \"vm1\"");
    for (_, write) in &WAYS[..2] {
        succeeds(&write(&config));
        let once = config.text();
        succeeds(&write(&config));
        assert_eq!(config.text(), once);
    }
    let before = format!(
        "device_model_version='qemu-xen'\ndevice_model_override='{MODEL}'\n\
         device_model_args_hvm=['-device','driver=vgpu-stub,addr=18,id=a']\n"
    );
    let config = Config::new(&before);
    succeeds(&config.add(&["--device", "slot=0x18"]));
    assert_eq!(config.text(), before);
}

/// xl reads capitals, the first letters of a builder, and a PV domain where nothing is said.
#[test]
fn the_type_of_a_domain() {
    for (before, note) in [
        ("type = 'HVM'\n", ""),
        ("builder = 'hvm'\n", ""),
        ("builder = 'h'\n", ""),
        ("type = 'hvm'\nbuilder = 'hvm'\n", ""),
        (
            "name = 'vm1'\n",
            "note: without type = \"hvm\" xl makes a PV domain",
        ),
    ] {
        for (way, write) in &WAYS[..2] {
            let config = Config::new(before);
            let output = write(&config);
            succeeds(&output);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                said.starts_with(note) && said.lines().count() == usize::from(!note.is_empty()),
                "{way}: {before}: {said}"
            );
        }
    }
}

#[test]
fn what_does_not_go_with_the_device_is_refused() {
    for (before, cause, mend) in [
        (
            "device_model_override = '/opt/my qemu'\n",
            "the VM has a device model of its own: device_model_override = \"/opt/my qemu\"",
            "VGPU_STUB_QEMU='/opt/my qemu' xl create",
        ),
        (
            "device_model_override = ['/opt/qemu']\n",
            "is a list",
            "take device_model_override out",
        ),
        (
            "device_model_version = 'qemu-xen-traditional'\n",
            "another device_model_version than \"qemu-xen\"",
            "take device_model_version out",
        ),
        (
            "device_model_args = '-device vgpu-stub'\n",
            "device_model_args is a text",
            "write device_model_args = [",
        ),
        (
            "device_model_args = ['-device', 'vgpu-stub,addr=0x19']\n",
            "the VM has other devices of this kind: vgpu-stub,addr=0x19",
            "take them out of device_model_args first",
        ),
        (
            "type = 'pvh'\n",
            "it is not HVM: type = \"pvh\"",
            "say type = \"hvm\"",
        ),
        (
            "builder = 'generic'\n",
            "it is not HVM: builder = \"generic\"",
            "say builder = \"hvm\"",
        ),
        (
            "name = vm\n",
            "xl cannot read the configuration: line 1",
            "mend that line first",
        ),
    ] {
        for (_, write) in &WAYS[..2] {
            let config = Config::new(before);
            refused(&config, &write(&config), before, cause, mend);
        }
    }
    let config = Config::new("");
    let output = config.add(&["--device", "slot=24", "--device", "slot=0x18"]);
    refused(
        &config,
        &output,
        "",
        "two devices have slot 0x18",
        "a slot of its own",
    );
    let output = config
        .command()
        .args(["--file", "/nowhere/vm.cfg"])
        .output();
    refused(
        &config,
        &output.unwrap(),
        "",
        "cannot read /nowhere/vm.cfg: No such file",
        "--file FILE",
    );
}

#[test]
fn the_file_keeps_what_it_is() {
    let before = "name = \"vm1\"\n# caf\u{e9}\n";
    let config = Config::new(before);
    let link = config.folder.path().join("link");
    symlink("vm.cfg", &link).unwrap();
    fs::set_permissions(config.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let mut command = config.command();
    command.arg("--file").arg(&link).args([
        "--device",
        "slot=26,bar0-size=64K",
        "--device",
        "revision=2",
    ]);
    succeeds(&command.output().unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(config.path()).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let words = [
        "-device",
        "vgpu-stub,bar0-size=64K,addr=0x1a",
        "-device",
        "vgpu-stub,revision=2",
    ];
    assert_eq!(config.read().texts("device_model_args"), words);
    // xl starts all that `*` finds in its folder for the host's start.
    let backup = config.folder.path().join(".vm.cfg.vgpu-stub-backup");
    assert_eq!(fs::read_to_string(&backup).unwrap(), before);
    assert_eq!(
        config.names(),
        [".vm.cfg.vgpu-stub-backup", "link", "vm.cfg"]
    );
    assert!(matches!(config.read().get("name"), Some(Value::Text(name)) if name == "vm1"));
}

/// A folder where the new file cannot be written.
#[test]
fn what_cannot_be_written_leaves_the_file() {
    let config = Config::new("memory = 512");
    fs::create_dir(config.folder.path().join(".vm.cfg.vgpu-stub-new")).unwrap();
    let output = config.add(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: cannot write "), "{said}");
    assert_eq!(config.text(), "memory = 512");
}
