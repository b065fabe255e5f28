//! Programs that nobody tells of a daemon: they look for that of their user, and for no other. In a network of its own, as the
//! daemon's name is that of the user.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;
use vgpud::Daemon;

const APART: &str = "VGPU_TEST_APART";
/// Debian's `nobody`.
const ANOTHER: u32 = 65_534;

/// Runs the test again, in a network namespace of its own; gives whether this process is in it.
fn apart(test: &str) -> bool {
    if env::var_os(APART).is_some() {
        return true;
    }
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new("unshare");
    if !is_root {
        command.arg("--map-root-user");
    }
    command.arg("--net").arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let users = if is_root { "all" } else { "one" };
    let output = command.env(APART, users).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}");
    print!("{said}");
    false
}

/// A folder that all users see, with our library and a program.
struct Installed(TempDir);

impl Installed {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let built = env::current_exe().unwrap();
        let copy = |from: PathBuf, name: &str| {
            fs::copy(&from, folder.path().join(name)).unwrap_or_else(|_| panic!("{from:?}"));
        };
        copy(built.with_file_name("libcuda.so"), "libcuda.so.1");
        copy(built.with_file_name("../examples/cuda-add"), "cuda-add");
        Self(folder)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(self.path().join("cuda-add"));
        program
            .env_remove("VGPU_LOCAL")
            .env("LD_LIBRARY_PATH", self.path())
            .current_dir("/");
        program
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What the library said to a program that has no device.
fn refused(program: &mut Command) -> String {
    let Output { status, stderr, .. } = program.output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(
        !status.success() && said.contains("CUDA_ERROR_NO_DEVICE"),
        "{said}"
    );
    let line = said.lines().find(|line| line.starts_with("vgpu: "));
    line.unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Serves until a program has ended; gives whether it went well.
fn served(daemon: &mut Daemon, program: &mut Child) -> bool {
    loop {
        match program.try_wait().unwrap() {
            Some(status) => return status.success(),
            None => daemon.turn(),
        }
    }
}

#[test]
fn a_program_finds_its_users_daemon_and_trusts_no_other() {
    if !apart("a_program_finds_its_users_daemon_and_trusts_no_other") {
        return;
    }
    let installed = Installed::new();
    let said = refused(&mut installed.program());
    for part in [
        "VGPU_LOCAL is not set",
        "`vgpu run`",
        "`systemctl --user start vgpud`",
    ] {
        assert!(said.contains(part), "{said}");
    }

    let worker = env::current_exe().unwrap();
    let worker = worker.with_file_name("../examples/cuda-worker");
    let mut daemon = Daemon::of_user(vec![worker.into()]).unwrap();
    let mut programs =
        [(); 2].map(|()| installed.program().stdout(Stdio::piped()).spawn().unwrap());
    for program in &mut programs {
        assert!(served(&mut daemon, program));
    }
    // Who has a daemon of its own, or is to have none, does not come here.
    let said = refused(installed.program().env("VGPU_LOCAL", "0".repeat(32)));
    assert!(said.contains("no vgpu daemon at $VGPU_LOCAL"), "{said}");
    let said = refused(installed.program().env("VGPU_LOCAL", "none"));
    assert!(said.contains("VGPU_LOCAL is `none`"), "{said}");

    if env::var_os(APART).is_some_and(|users| users == "one") {
        println!("not root: no program of another user was tried");
        return;
    }
    // This process listens under another user's name, and gets nothing of that user's program.
    let name = format!("vgpu-user-{ANOTHER}");
    let squatter = seqpacket::listen(&name);
    let squatter = std::thread::spawn(move || seqpacket::sent(&squatter));
    let mut program = installed.program();
    let said = refused(program.uid(ANOTHER).gid(ANOTHER));
    let own = std::process::id();
    let who = format!("user 0 (process {own}) listens in place of this user's vgpud, at @{name}");
    assert!(said.contains(&who), "{said}");
    assert_eq!(squatter.join().unwrap(), 0, "it was sent something");
    // Nor does it wait for one that takes nobody in.
    let _full = seqpacket::full(&name);
    let said = refused(installed.program().uid(ANOTHER).gid(ANOTHER));
    assert!(
        said.contains(&format!("no vgpu daemon at @{name}: ")),
        "{said}"
    );
}

/// Sockets as the daemon's, which the standard library has not.
mod seqpacket {
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::net::{
        AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect,
        listen as begin, recv, socket_with,
    };

    pub(super) fn listen(name: &str) -> OwnedFd {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        let name = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        bind(&socket, &name).unwrap();
        begin(&socket, 8).unwrap();
        socket
    }

    /// A listener that nobody more can come to, and who waits there.
    pub(super) fn full(name: &str) -> Vec<OwnedFd> {
        let mut sockets = vec![listen(name)];
        let name = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        loop {
            let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(family, kind, flags, None).unwrap();
            match connect(&socket, &name) {
                Ok(()) => sockets.push(socket),
                Err(error) => {
                    assert_eq!(error, Errno::AGAIN);
                    return sockets;
                }
            }
        }
    }

    /// Bytes of the first message of who came, which has ended.
    pub(super) fn sent(socket: &OwnedFd) -> usize {
        let stream = accept(socket).unwrap();
        recv(&stream, &mut [0; 64], RecvFlags::empty()).unwrap().0
    }
}
