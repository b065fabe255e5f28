//! Who gets the path, and what is left of it afterwards.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, mknodat};
use rustix::io::{FdFlags, fcntl_getfd};
use tempfile::TempDir;
use vgpu_socket::{BindError, Listener, PacketListener};

const MODE: u32 = 0o600;

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

/// A socket whose server is gone.
fn make_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(path.exists());
}

#[track_caller]
fn refusal(path: &Path) -> BindError {
    let error = Listener::bind(path, MODE).unwrap_err();
    for line in [error.to_string(), error.mend().to_string()] {
        assert_eq!(line.lines().count(), 1, "{line:?}");
    }
    error
}

#[test]
fn connections_come_through() {
    let (_folder, path) = folder();
    let listener = Listener::bind(&path, MODE).unwrap();
    assert_eq!(listener.path(), path);
    assert!(listener.accept().unwrap().is_none());

    let mut client = UnixStream::connect(&path).unwrap();
    let mut server = listener.accept().unwrap().unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");

    for fd in [listener.as_fd(), server.as_fd()] {
        assert_eq!(fcntl_getfd(fd).unwrap(), FdFlags::CLOEXEC);
    }
}

/// A server that ends lets nobody in, and loses nobody who is.
#[test]
fn who_has_connected_can_be_accepted_after_the_end() {
    let (_folder, path) = folder();
    let listener = Listener::bind(&path, MODE).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    listener.stop_listening();
    let refused = UnixStream::connect(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut text = [0; 5];
    let mut server = listener.accept().unwrap().unwrap();
    server.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    for _ in 0..2 {
        assert!(listener.accept().unwrap().is_none());
    }
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_live_server_keeps_its_path() {
    let (_folder, path) = folder();
    let first = Listener::bind(&path, MODE).unwrap();
    assert!(matches!(refusal(&path), BindError::Live { .. }));

    // The look at it is a connection; the next one works as ever.
    assert!(first.accept().unwrap().is_some());
    let _client = UnixStream::connect(&path).unwrap();
    assert!(first.accept().unwrap().is_some());
}

#[test]
fn a_server_that_is_too_busy_to_accept_is_live() {
    let (_folder, path) = folder();
    let first = Listener::bind(&path, MODE).unwrap();
    rustix::net::listen(&first, 0).unwrap();
    let _waits = UnixStream::connect(&path).unwrap();
    assert!(matches!(refusal(&path), BindError::Live { .. }));
}

#[test]
fn a_socket_of_another_type_is_live() {
    let (_folder, path) = folder();
    let _other = UnixDatagram::bind(&path).unwrap();
    assert!(matches!(refusal(&path), BindError::Live { .. }));
}

#[test]
fn a_stale_socket_is_replaced() {
    let (_folder, path) = folder();
    make_stale(&path);
    let listener = Listener::bind(&path, MODE).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    assert!(listener.accept().unwrap().is_some());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let (folder, path) = folder();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(refusal(&path), BindError::NotASocket { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    let link = folder.path().join("link");
    for target in [&path, Path::new("nowhere")] {
        symlink(target, &link).unwrap();
        assert!(matches!(refusal(&link), BindError::NotASocket { .. }));
        assert!(link.is_symlink());
        fs::remove_file(&link).unwrap();
    }

    for path in [folder.path(), Path::new("/"), Path::new("..")] {
        assert!(matches!(refusal(path), BindError::NotASocket { .. }));
    }
}

#[test]
fn the_folder_has_to_exist() {
    let (folder, path) = folder();
    let error = refusal(&folder.path().join("missing/socket"));
    assert!(error.to_string().contains("missing\""), "{error}");
    assert!(matches!(error, BindError::NoFolder { .. }));

    fs::write(&path, "").unwrap();
    let error = refusal(&path.join("socket"));
    assert!(matches!(error, BindError::NoFolder { .. }));
}

#[test]
fn a_path_has_107_bytes_at_most() {
    let (folder, _) = folder();
    let length = |bytes: usize| {
        let name = bytes - folder.path().as_os_str().len() - 1;
        folder.path().join("x".repeat(name))
    };
    let error = refusal(&length(108));
    assert!(error.to_string().contains("108 bytes"), "{error}");
    assert!(matches!(error, BindError::TooLong { .. }));

    let _listener = Listener::bind(&length(107), MODE).unwrap();
    UnixStream::connect(length(107)).unwrap();
}

#[test]
fn odd_paths_are_errors() {
    let (folder, _) = folder();
    for name in ["a\0b", "new/"] {
        refusal(&folder.path().join(name));
    }
    refusal(Path::new(""));
    let error = refusal(&folder.path().join("two\nlines/socket"));
    assert!(error.to_string().contains(r"two\nlines"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Whoever can read a folder, such as any local user with `/run`, can lock it.
#[test]
fn a_lock_on_the_folder_holds_nobody_up() {
    let (folder, path) = folder();
    let locked = fs::File::open(folder.path()).unwrap();
    rustix::fs::flock(&locked, FlockOperation::LockExclusive).unwrap();
    let started = Instant::now();
    make_stale(&path);
    drop(Listener::bind(&path, MODE).unwrap());
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The lock's file, as another starting server would have it.
fn lock_file(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    path.with_file_name(format!(".{name}.lock"))
}

#[test]
fn a_starting_server_that_hangs_is_an_error() {
    let (_folder, path) = folder();
    let locked = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(lock_file(&path))
        .unwrap();
    rustix::fs::flock(&locked, FlockOperation::LockExclusive).unwrap();
    let started = Instant::now();
    assert!(matches!(refusal(&path), BindError::Locked { .. }));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!path.exists());

    // What one leaves that was killed is no obstacle.
    drop(locked);
    Listener::bind(&path, MODE).unwrap();
    assert!(!lock_file(&path).exists());
}

/// Another user could hold a lock on it, or have the server wait on it.
#[test]
fn a_lock_file_of_another_is_left_alone_and_named() {
    let (_folder, path) = folder();
    let lock = lock_file(&path);
    let makers: [&dyn Fn(); 5] = [
        &|| {
            fs::write(&lock, "").unwrap();
            fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        },
        &|| {
            fs::write(&lock, "").unwrap();
            fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
            // None but root can give a file away.
            if chown(&lock, Some(65534), None).is_err() {
                fs::set_permissions(&lock, fs::Permissions::from_mode(0o620)).unwrap();
            }
        },
        &|| symlink("elsewhere", &lock).unwrap(),
        &|| fs::create_dir(&lock).unwrap(),
        &|| mknodat(CWD, &lock, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
    ];
    for (index, make) in makers.iter().enumerate() {
        make();
        let started = Instant::now();
        let error = refusal(&path);
        assert!(started.elapsed() < Duration::from_secs(1), "{index}");
        assert!(
            error.to_string().contains(".socket.lock"),
            "{index}: {error}"
        );
        assert!(!path.exists(), "{index}");
        assert!(lock.symlink_metadata().is_ok(), "{index}");
        fs::remove_file(&lock)
            .or_else(|_| fs::remove_dir(&lock))
            .unwrap();
    }
}

#[test]
fn the_file_goes_with_the_listener_and_nothing_else_does() {
    let (folder, path) = folder();
    drop(Listener::bind(&path, MODE).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    // Another server's, after somebody removed this one's.
    let listener = Listener::bind(&path, MODE).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = Listener::bind(&path, MODE).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    drop(listener);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[test]
fn the_file_is_found_in_a_folder_that_was_renamed() {
    let (folder, _) = folder();
    let old = folder.path().join("old");
    let new = folder.path().join("new");
    fs::create_dir(&old).unwrap();
    let listener = Listener::bind(&old.join("socket"), MODE).unwrap();
    fs::rename(&old, &new).unwrap();
    drop(listener);
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0);
}

/// Each round starts from a stale socket, as that is where one starter could
/// remove what another has just made.
#[test]
fn of_servers_that_start_at_once_one_wins() {
    const STARTERS: usize = 4;
    const ROUNDS: usize = 200;
    let (_folder, path) = folder();
    let barrier = Arc::new(Barrier::new(STARTERS));
    for round in 0..ROUNDS {
        make_stale(&path);
        let starters: Vec<_> = (0..STARTERS)
            .map(|_| {
                let (path, barrier) = (path.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    Listener::bind(&path, MODE)
                })
            })
            .collect();
        let (winners, losers): (Vec<_>, Vec<_>) = starters
            .into_iter()
            .map(|starter| starter.join().unwrap())
            .partition(Result::is_ok);
        assert_eq!(winners.len(), 1, "round {round}");
        for loser in losers {
            let error = loser.unwrap_err();
            assert!(matches!(error, BindError::Live { .. }), "{error}");
        }

        // What is at the path is the winner's.
        let winner = winners.into_iter().next().unwrap().unwrap();
        while winner.accept().unwrap().is_some() {}
        let _client = UnixStream::connect(&path).unwrap();
        assert!(winner.accept().unwrap().is_some(), "round {round}");
    }
    assert!(!path.exists());
}

#[test]
fn packets_have_the_path_as_safely() {
    let (_folder, path) = folder();
    make_stale(&path);
    let listener = PacketListener::bind(&path, MODE).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    assert!(listener.accept().unwrap().is_none());
    for other in [
        PacketListener::bind(&path, MODE).map(drop),
        Listener::bind(&path, MODE).map(drop),
    ] {
        assert!(matches!(other, Err(BindError::Live { .. })), "{other:?}");
    }
    // Who was looked at by another server has connected and gone; the next one is a client.
    let _gone = listener.accept().unwrap().unwrap();
    let (family, kind) = (
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
    );
    let client = rustix::net::socket(family, kind, None).unwrap();
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    rustix::net::connect(&client, &address).unwrap();
    let server = listener.accept().unwrap().unwrap();
    rustix::io::write(&client, b"one").unwrap();
    rustix::io::write(&client, b"two").unwrap();
    let mut packet = [0; 8];
    assert_eq!(rustix::io::read(&server, &mut packet), Ok(3), "not both");
    assert_eq!(fcntl_getfd(&server).unwrap(), FdFlags::CLOEXEC);
    drop(listener);
    assert!(!path.exists());
}
