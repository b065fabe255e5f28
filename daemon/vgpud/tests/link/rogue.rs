//! Workers that their guests have taken over: what they do to the daemon costs their own sessions, and nothing else's.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, path::Path, path::PathBuf};

use tempfile::TempDir;
use vgpu_socket::PacketListener;
use vgpud::Policy;
use vgpud::link::Link;

use crate::common::example;
use crate::emulator::{Emulator, Place};
use crate::shares::{ONE, OTHER, ask_at, uuid};

/// Acts of `examples/rogue-channel.rs`, and those that the daemon ends a worker for, which come first.
const ACTS: u32 = 15;
const ENDED: u32 = 13;

/// A daemon in this process, whose workers are those of the example.
struct Daemon {
    folder: TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Where one machine's workers do an act, and another's echo.
    fn start(act: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let machine = |machine, pool| {
            let uuid = uuid(machine);
            format!(
                "[[machine]]\nuuid = \"{uuid}\"\nuid = {uid}\npool = \"{pool}\"\ndevice-memory-mib = 64\n"
            )
        };
        let text = format!(
            "[[engine]]\nname = \"rogue\"\nkind = \"cpu\"\nkernel-us = {act}000\n\
             [[engine]]\nname = \"echo\"\nkind = \"echo\"\n\
             [[pool]]\nname = \"rogue\"\nengines = [\"rogue\"]\n\
             [[pool]]\nname = \"echo\"\nengines = [\"echo\"]\n\
             [workers]\nusers-folder = \"{}\"\n{}{}",
            folder.path().join("users").display(),
            machine(ONE, "rogue"),
            machine(OTHER, "echo"),
        );
        let path = folder.path().join("link.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (over, folder) = (Arc::clone(&over), folder.path().to_owned());
            move || serve(&folder, path, &over)
        });
        let daemon = Self {
            folder,
            over,
            thread: Some(thread),
        };
        let start = Instant::now();
        while !daemon.socket().exists() || !daemon.control().exists() {
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(2));
        }
        daemon
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }
}

impl Place for Daemon {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("link")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = vgpu_packet::connect(&self.socket());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

fn serve(folder: &Path, config: PathBuf, over: &AtomicBool) {
    let policy = Policy::new(Some(config), "cpu").unwrap();
    let listener = PacketListener::bind(&folder.join("link"), 0o600).unwrap();
    let command = vec![example("rogue-channel").into_os_string()];
    let mut link = Link::new(listener, policy, command).unwrap();
    link.listen(&folder.join("control")).unwrap();
    while !over.load(Ordering::Relaxed) {
        link.turn();
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_worker_that_was_taken_over_costs_its_own_session() {
    for act in 1..=ACTS {
        let daemon = Daemon::start(act);
        let mut well = Emulator::of(&daemon, OTHER).unwrap();
        let mut guest = well.open(0);
        let mut sick = Emulator::of(&daemon, ONE).unwrap();
        let before = descriptors();
        let _lost = sick.open(1);
        let start = Instant::now();
        if act <= ENDED {
            while sick.lost.is_empty() {
                sick.hear(Duration::from_millis(50));
                assert!(
                    start.elapsed() < Duration::from_secs(10),
                    "act {act}: not ended"
                );
                guest.echoes();
            }
            assert_eq!(sick.lost, [1], "act {act}");
        } else {
            // What two of them say is added up.
            sick.open(3);
            thread::sleep(Duration::from_millis(200));
            guest.echoes();
        }
        well.open(2).echoes();
        assert_eq!(well.close(2), 0);
        let status = ask_at(&daemon.control(), r#"{"do": "status"}"#);
        assert!(
            status["status"]["machines"].is_array(),
            "act {act}: {status}"
        );
        let metrics = ask_at(&daemon.control(), r#"{"do": "metrics"}"#);
        assert!(metrics["metrics"].is_string(), "act {act}: {metrics}");
        assert!(well.lost.is_empty(), "act {act}");
        if act <= ENDED {
            // What was sent with messages is not kept: less the guest's own of the channel that was lost.
            let kept = descriptors().saturating_sub(before);
            assert!(kept <= 4, "act {act}: {kept} descriptors stay");
        } else {
            assert_eq!(sick.close(1), 0, "act {act}");
        }
    }
}
