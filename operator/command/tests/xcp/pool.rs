//! A pool of XCP-ng hosts, as far as the kit sees it: folders in place of
//! hosts, scripts in place of `xe`, `systemctl` and the builder, and this
//! process in place of xenopsd and xenstored. Each call has the arguments, the
//! descriptors and the environment that xen-api's source gives it.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;

use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vgpu-stub-below");
const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/xcp-ng");

pub(crate) const VM: &str = "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11";
pub(crate) const OTHER: &str = "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a12";
pub(crate) const HOST: &str = "7d3f6c1e-0000-4d0e-9a6c-0d8f3f6f0a11";

/// The host that a test is about, with what XAPI knows.
pub(crate) struct Pool {
    folder: TempDir,
}

impl Pool {
    /// A host with the kit, and a VM.
    pub(crate) fn new() -> Self {
        let pool = Self {
            folder: TempDir::new().unwrap(),
        };
        install_kit(&pool.path(""));
        for (name, text) in [
            ("bin/xe", include_str!("xe.sh")),
            ("bin/systemctl", include_str!("systemctl.sh")),
            ("usr/libexec/xen/bin/xenguest", include_str!("xenguest.sh")),
        ] {
            write_program(&pool.path(name), text);
        }
        pool.add_vm(VM, "my vm");
        pool.add_host(HOST, "first");
        symlink(
            pool.path(""),
            pool.path("xapi/host").join(HOST).join("root"),
        )
        .unwrap();
        pool
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn add_vm(&self, uuid: &str, name: &str) {
        for map in ["platform", "blocked-operations", "other-config"] {
            fs::create_dir_all(self.path("xapi/vm").join(uuid).join(map)).unwrap();
        }
        self.write(&format!("xapi/vm/{uuid}/name-label"), name);
        self.write(&format!("xapi/vm/{uuid}/power-state"), "halted");
    }

    pub(crate) fn add_host(&self, uuid: &str, name: &str) {
        self.write(&format!("xapi/host/{uuid}/name-label"), name);
    }

    /// A value of a map of the VM.
    pub(crate) fn set(&self, map: &str, key: &str, value: &str) {
        self.write(&format!("xapi/vm/{VM}/{map}/{key}"), &format!("{value}\n"));
    }

    /// All of the VM's maps.
    pub(crate) fn vm(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for map in ["platform", "blocked-operations", "other-config"] {
            for entry in fs::read_dir(self.path("xapi/vm").join(VM).join(map)).unwrap() {
                let entry = entry.unwrap();
                let key = entry.file_name().into_string().unwrap();
                let value = fs::read_to_string(entry.path()).unwrap();
                lines.push(format!("{map}:{key}={}", value.trim_end()));
            }
        }
        lines.sort();
        lines
    }

    /// The environment of what XAPI starts: the path, and here the root.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("VGPU_STUB_ROOT", self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// `vgpu-stub xcp …`
    pub(crate) fn xcp(&self, words: &[&str]) -> Output {
        let mut command = self.command(PROGRAM);
        command.arg("xcp").args(words).output().unwrap()
    }

    /// Runs a VM's hooks as xenopsd does (`xenops_hooks.ml`).
    ///
    /// # Errors
    ///
    /// What XAPI_HOOK_FAILED would say: the hook, its stdout, its exit code.
    pub(crate) fn hooks(&self, name: &str, vm: &str, reason: &str) -> Result<(), (String, i32)> {
        let mut scripts: Vec<PathBuf> = fs::read_dir(self.path("etc/xapi.d").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        scripts.sort();
        for script in scripts {
            let mut command = self.command(&script);
            command.args(["-vmuuid", vm, "-reason", reason]);
            let output = command.output().unwrap();
            match output.status.code() {
                Some(0 | 1) => {}
                code => {
                    let said = String::from_utf8(output.stdout).unwrap();
                    return Err((said, code.unwrap_or(-1)));
                }
            }
        }
        Ok(())
    }

    /// Builds a domain as xenopsd does (`xenguestHelper.ml`, `domain.ml`), and
    /// returns what `receive_success` would, with the arguments.
    pub(crate) fn build(&self, domain: u16, mode: &str) -> (Result<String, String>, String) {
        /// Children of other threads must not get the pipes.
        static SPAWN: Mutex<()> = Mutex::new(());
        let (from_builder, to_us) = io::pipe().unwrap();
        let (from_us, mut to_builder) = io::pipe().unwrap();
        let arguments = format!(
            "-controloutfd {} -controlinfd {} -mode {mode} -image /usr/libexec/xen/boot/hvmloader \
             -domid {domain} -store_port 1 -store_domid 0 -console_port 2 -console_domid 0 \
             -mem_max_mib 4096 -mem_start_mib 4096",
            to_us.as_raw_fd(),
            from_us.as_raw_fd()
        );
        let ours = [to_us.as_raw_fd(), from_us.as_raw_fd()]
            .map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap());
        let shim = self.path("usr/lib/xapi/alternatives/xenguest/vgpu-stub");
        let mut command = self.command(shim);
        let null = || fs::File::options().write(true).open("/dev/null").unwrap();
        command
            .args(arguments.split(' '))
            .current_dir("/")
            .stdin(null())
            .stdout(null())
            .stderr(null());
        let mut child = {
            let _alone = SPAWN.lock().unwrap();
            fcntl_setfd(&to_us, FdFlags::empty()).unwrap();
            fcntl_setfd(&from_us, FdFlags::empty()).unwrap();
            let child = command.spawn().unwrap();
            drop((to_us, from_us));
            child
        };
        // A builder that has ended hears nothing.
        let _ = to_builder.write_all(b"go\n");
        let said = receive_success(&mut BufReader::new(from_builder));
        let status = child.wait().unwrap();
        assert_eq!(status.success(), said.is_ok(), "{status}: {said:?}");
        let leaked = self.read("systemctl.pipes");
        for pipe in ours {
            assert!(
                !leaked.contains(pipe.to_str().unwrap()),
                "systemctl has {pipe:?}"
            );
        }
        (said, arguments)
    }

    /// Answers as xenstored, in the background, for as long as the process is.
    pub(crate) fn xenstore(&self, nodes: &[(&str, &str)]) {
        let socket = self.path("run/xenstored/socket");
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(socket).unwrap();
        let nodes: Vec<(String, String)> = nodes
            .iter()
            .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
            .collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                while answer(&mut stream, &nodes).is_ok() {}
            }
        });
    }
}

/// Reads as xenopsd does: what it returns, or why the VM does not start.
fn receive_success(lines: &mut impl BufRead) -> Result<String, String> {
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let Some((kind, text)) = line.trim_end_matches('\n').split_once(':') else {
            return Err(match line.is_empty() {
                true => "End_of_file".to_owned(),
                false => format!("Failed to parse message from xenguesthelper [{line}]"),
            });
        };
        match kind {
            "stdout" | "stderr" | "info" => {}
            "result" => return Ok(text.to_owned()),
            "error" => {
                let mut words = text.splitn(3, ' ');
                let function = words.next().unwrap();
                let known = ["hvm_build", "xc_dom_linux_build"].contains(&function);
                let code: i32 = words.next().unwrap().parse().expect("a code");
                assert!(known, "Error from xenguesthelper: {text}");
                return Err(format!("{function} {code}: {}", words.next().unwrap()));
            }
            _ => panic!("uncaught exception: {line}"),
        }
    }
}

/// One answer to a READ, by xenstore's wire protocol.
fn answer(stream: &mut UnixStream, nodes: &[(String, String)]) -> io::Result<()> {
    let mut header = [0; 16];
    stream.read_exact(&mut header)?;
    let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let mut body = vec![0; field(12) as usize];
    stream.read_exact(&mut body)?;
    assert_eq!(field(0), 2, "only READ is known here");
    let path = String::from_utf8(body).unwrap();
    let path = path.trim_end_matches('\0');
    let (kind, value) = nodes
        .iter()
        .find(|(known, _)| known == path)
        .map_or((16, "ENOENT\0"), |(_, value)| (2, value.as_str()));
    let length = u32::try_from(value.len()).unwrap();
    let mut message = Vec::new();
    for word in [kind, field(4), field(8), length] {
        message.extend(word.to_le_bytes());
    }
    message.extend(value.as_bytes());
    stream.write_all(&message)
}

/// What the package puts on a host.
pub(crate) fn install_kit(root: &Path) {
    let place = |name: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    symlink(PROGRAM, place("usr/bin/vgpu-stub")).unwrap();
    write_program(&place("usr/lib/vgpu-stub/vgpu-emulator"), "");
    for name in [
        "usr/lib/xapi/alternatives/xenguest/vgpu-stub",
        "etc/xapi.d/plugins/vgpu-stub",
    ] {
        symlink(PROGRAM, place(name)).unwrap();
    }
    for hook in ["vm-pre-start", "vm-post-destroy"] {
        let text = fs::read_to_string(Path::new(PACKAGING).join(hook)).unwrap();
        let program = root.join("usr/bin/vgpu-stub");
        let text = text.replace("/usr/bin/vgpu-stub", program.to_str().unwrap());
        write_program(&place(&format!("etc/xapi.d/{hook}/50-vgpu-stub")), &text);
    }
    let unit = "vgpu-stub-xen@.service";
    fs::copy(
        Path::new(PACKAGING).join(unit),
        place(&format!("usr/lib/systemd/system/{unit}")),
    )
    .unwrap();
    write_program(&place("usr/libexec/xen/bin/xenguest"), "#!/bin/sh\n");
}

fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
