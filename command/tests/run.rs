//! `vgpu run` and `vgpu trace`, with real programs of the crate cudarc: what they
//! compute, what is said of them, and that nothing of them stays.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Library, eventually, refused, runs, text, vgpu, with_program};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use rustix::process::{Pid, Signal, kill_process};

const ADD: &str = include_str!("program/add.ptx");

/// Not a test: the program.
#[test]
fn program() {
    match std::env::var("PROGRAM").as_deref() {
        Ok("add") => add(),
        Ok("endless") => endless(),
        _ => {}
    }
}

/// cudarc's example: two vectors are added.
fn add() {
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let module = context.load_module(Ptx::from_src(ADD)).unwrap();
    let function = module.load_function("add").unwrap();
    let a: Vec<f32> = (0..1000_u16).map(f32::from).collect();
    let b: Vec<f32> = a.iter().map(|x| 0.5 * x).collect();
    let (a_there, b_there) = (
        stream.clone_htod(&a).unwrap(),
        stream.clone_htod(&b).unwrap(),
    );
    let mut sum = stream.alloc_zeros::<f32>(a.len()).unwrap();
    let count = u32::try_from(a.len()).unwrap();
    let mut launch = stream.launch_builder(&function);
    launch.arg(&mut sum).arg(&a_there).arg(&b_there).arg(&count);
    // SAFETY: the kernel takes these parameters, and writes `count` floats.
    #[allow(unsafe_code)]
    unsafe { launch.launch(LaunchConfig::for_num_elems(count)) }.unwrap();
    let sum = stream.clone_dtoh(&sum).unwrap();
    let right = sum.iter().zip(&a).all(|(sum, a)| *sum == 1.5 * a);
    println!("\nright: {right}");
}

/// Says its number, and goes on.
fn endless() {
    let context = CudaContext::new(0).unwrap();
    context.default_stream().synchronize().unwrap();
    println!("\nprogram {}", std::process::id());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_cudarc_program_computes_on_the_processors() {
    let library = Library::new();
    let output = with_program(&["run"], &library, "add").output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said} {}", text(&output.stderr));
    assert!(said.contains("\nright: true\n"), "{said}");
}

#[test]
fn the_null_engine_computes_nothing() {
    let library = Library::new();
    let words = ["run", "--engine", "null"];
    let output = with_program(&words, &library, "add").output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said} {}", text(&output.stderr));
    assert!(said.contains("\nright: false\n"), "{said}");
}

#[test]
fn without_a_gpu_the_engine_for_one_says_so_and_there_is_no_device() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        return;
    }
    let library = Library::new();
    let words = ["run", "--engine", "nvidia"];
    let output = with_program(&words, &library, "add").output().unwrap();
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("/dev/nvidiactl"), "{said}");
    assert!(said.contains("CUDA_ERROR_"), "{said}");
}

#[test]
fn the_programs_exit_code_is_passed_on() {
    let library = Library::new();
    let run = |words: &[&str]| {
        let mut vgpu = vgpu();
        vgpu.args(["run", "--library"]).arg(library.path());
        vgpu.arg("--").args(words).output().unwrap()
    };
    assert_eq!(run(&["true"]).status.code(), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    let (cause, _) = refused(&run(&["no-such-program"]), 127);
    assert_eq!(cause, "there is no program no-such-program");
    let (_, mend) = refused(&run(&["Cargo.toml"]), 127);
    assert!(mend.contains("name it as ./Cargo.toml; "), "{mend}");
    let (cause, mend) = refused(&run(&["/etc/passwd"]), 126);
    assert!(cause.starts_with("cannot start /etc/passwd: "), "{cause}");
    assert_eq!(mend, "name a program that this user may execute");
    let (cause, mend) = refused(&run(&["./src"]), 126);
    assert_eq!(cause, "cannot start ./src: it is a folder");
    assert_eq!(mend, "name a program in it");
    let (cause, mend) = refused(&run(&[&"x".repeat(300)]), 126);
    assert!(cause.contains("too long"), "{cause}");
    assert_eq!(mend, "give it a shorter name");
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let mut command = vgpu();
    command.args(["run", "--library", "/nowhere", "--", "true"]);
    let (cause, _) = refused(&command.output().unwrap(), 125);
    assert_eq!(cause, "there is no libcuda.so.1 in /nowhere");
    let (cause, mend) = refused(&vgpu().args(["run", "true"]).output().unwrap(), 125);
    assert!(cause.ends_with("/../lib/vgpu"), "{cause}");
    assert!(mend.contains("cargo xtask cuda build"), "{mend}");
}

#[test]
fn the_programs_environment_and_words_are_its_own() {
    let library = Library::new();
    let mut vgpu = vgpu();
    vgpu.args(["run", "--library"]).arg(library.path());
    vgpu.args(["sh", "-c", "echo $LD_LIBRARY_PATH $0 $1", "--help", "a b"]);
    let output = vgpu.env("LD_LIBRARY_PATH", "/before").output().unwrap();
    let folder = library.path().canonicalize().unwrap();
    let expected = format!("{}:/before --help a b\n", folder.display());
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn a_trace_says_what_was_called_and_what_waited() {
    let library = Library::new();
    let output = with_program(&["trace", "--json"], &library, "add").output();
    let output = output.unwrap();
    assert!(text(&output.stdout).contains("\nright: true\n"));
    let report: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let function = |name: &str| {
        let functions = report["functions"].as_array().unwrap().iter();
        let mut named = functions.filter(|function| function["name"] == name);
        named
            .next()
            .unwrap_or_else(|| panic!("{name}: {report}"))
            .clone()
    };
    assert_eq!(
        (&report["engine"], &report["exit_code"]),
        (&"cpu".into(), &0.into())
    );
    assert_eq!(report["device"], "vgpu CPU engine");
    assert_eq!(report["processes"], 1);
    let launch = function("cuLaunchKernel");
    assert_eq!(launch["class"], "asynchronous");
    assert_eq!(
        (&launch["calls"], &launch["messages"], &launch["waits"]),
        (&1.into(), &1.into(), &0.into())
    );
    let load = function("cuModuleLoadData");
    assert_eq!(
        (&load["class"], &load["messages"]),
        (&"sync".into(), &2.into())
    );
    assert!(load["waited_nanoseconds"].as_u64() > Some(0));
    assert!(load["waited_nanoseconds"].as_u64() <= load["nanoseconds"].as_u64());
    // All messages are somebody's; all waits too.
    let sum = |list: &str, key: &str| -> u64 {
        let rows = report[list].as_array().unwrap().iter();
        rows.map(|row| row[key].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("messages", "count"), sum("functions", "messages"));
    assert_eq!(sum("waits", "count"), sum("functions", "waits"));
    assert_eq!(
        sum("waits", "nanoseconds"),
        sum("functions", "waited_nanoseconds")
    );
    assert_eq!(sum("functions", "errors"), 0, "{report}");
}

#[test]
fn a_trace_is_kept_in_a_file_and_shown_later() {
    let library = Library::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let words = ["run", "--trace", file.to_str().unwrap()];
    let output = with_program(&words, &library, "add").output().unwrap();
    assert!(output.status.success());
    // Only the program's own words.
    assert!(!text(&output.stderr).contains("cuLaunchKernel"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let shown = vgpu().arg("trace").arg(&file).output().unwrap();
    let table = text(&shown.stdout);
    for words in [
        "engine    cpu, device vgpu CPU engine",
        "cuLaunchKernel",
        "module_load",
        "room in the ring",
        "no function waited that is asynchronous in CUDA",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let same = vgpu()
        .args(["trace", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(same.stdout, fs::read(&file).unwrap());
}

#[test]
fn single_calls_are_listed_in_their_order() {
    let library = Library::new();
    let output = with_program(&["trace", "--calls"], &library, "add").output();
    let said = text(&output.unwrap().stderr);
    let place = |name: &str| {
        said.find(&format!("  {name} "))
            .unwrap_or_else(|| panic!("{name}: {said}"))
    };
    assert!(place("cuInit") < place("cuModuleLoadData"));
    assert!(place("cuModuleLoadData") < place("cuLaunchKernel"));
    assert!(place("cuLaunchKernel") < said.find("\nfunction ").unwrap());
}

#[test]
fn what_is_no_trace_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let trace = |path| refused(&vgpu().arg("trace").arg(path).output().unwrap(), 2);
    let (cause, mend) = trace(write("a", "{\"version\": 1"));
    assert!(cause.contains("/a is empty or cut short: EOF"), "{cause}");
    assert!(mend.contains("put -- before it"), "{mend}");
    let (cause, _) = trace(write("text", "from tinygrad"));
    assert!(cause.contains("/text is no trace: "), "{cause}");
    let (cause, _) = trace(folder.path().to_owned());
    assert!(cause.starts_with("cannot read "), "{cause}");
    let newer = "{\"version\":2,\"program\":[],\"exit_code\":0,\"nanoseconds\":0,\"engine\":\"\",\"device\":null,\
                 \"processes\":0,\"functions\":[],\"messages\":[],\"waits\":[]}";
    let (cause, _) = trace(write("b", newer));
    assert!(
        cause.ends_with("/b is of version 2, and this command reads version 1"),
        "{cause}"
    );
    let (cause, _) = trace(folder.path().join("c"));
    assert!(cause.contains("/c: No such file"), "{cause}");
}

#[test]
fn where_no_trace_can_be_kept_the_program_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let run = |path: &Path| {
        let mut command = vgpu();
        command.args(["run", "--trace"]).arg(path);
        let output = command.args(["--", "echo", "ran"]).output().unwrap();
        assert!(output.stdout.is_empty());
        refused(&output, 125).0
    };
    let cause = run(Path::new("/nowhere/t"));
    assert_eq!(
        cause,
        "cannot write /nowhere/t: No such file or directory (os error 2)"
    );
    assert!(run(folder.path()).ends_with(": it is a folder"));
    // What a device stands for here: root would lose /dev/null.
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let cause = run(&socket);
    assert!(
        cause.ends_with(": it is a device, a pipe or a socket"),
        "{cause}"
    );
    assert!(socket.metadata().unwrap().file_type().is_socket());
}

#[test]
fn a_trace_is_kept_where_the_next_program_does_not_run() {
    let (library, folder) = (Library::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("trace");
    let not_executable = folder.path().join("text");
    fs::write(&not_executable, "text").unwrap();
    let run = |program: &[&str]| {
        let mut command = vgpu();
        command.args(["run", "--trace"]).arg(&file).arg("--library");
        command.arg(library.path()).arg("--").args(program);
        command.output().unwrap()
    };
    for (program, code) in [("nosuch", 127), (not_executable.to_str().unwrap(), 126)] {
        fs::write(&file, "old").unwrap();
        refused(&run(&[program]), code);
        assert_eq!(fs::read(&file).unwrap(), b"old", "{program}");
    }
    // A code of its own is no sign of that.
    for code in [126, 127] {
        fs::write(&file, "old").unwrap();
        let output = run(&["sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.status.code(), Some(code));
        let said = fs::read_to_string(&file).unwrap();
        assert!(said.contains(&format!("\"exit_code\": {code}")), "{said}");
    }
    let mut command = vgpu();
    command.args(["trace", "--library"]).arg(library.path());
    refused(&command.args(["--", "nosuch"]).output().unwrap(), 127);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_program_without_cuda_has_a_trace_that_says_so() {
    let library = Library::new();
    let mut command = vgpu();
    command.args(["trace", "--library"]).arg(library.path());
    let output = command.args(["--", "true"]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("\nno process called the library"), "{said}");
    assert!(!said.contains("room in the ring"), "{said}");
}

/// A run whose program goes on until something ends it.
struct Running {
    vgpu: Child,
    program: u32,
    worker: u32,
    _library: Library,
}

fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn start(wrap: &[&str]) -> Running {
    let library = Library::new();
    let inner = with_program(&["run"], &library, "endless");
    let mut command = match wrap {
        [] => inner,
        [first, rest @ ..] => {
            let mut outer = Command::new(first);
            outer
                .args(rest)
                .arg(inner.get_program())
                .args(inner.get_args());
            outer.env("PROGRAM", "endless");
            outer
        }
    };
    let mut vgpu = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(vgpu.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let line = lines.find_map(|line| line.strip_prefix("program ").map(str::to_owned));
    let program = line.unwrap().parse().unwrap();
    let mut workers = children(vgpu.id());
    workers.retain(|id| *id != program);
    let [worker] = workers[..] else {
        panic!("{workers:?}");
    };
    Running {
        vgpu,
        program,
        worker,
        _library: library,
    }
}

fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    let _ = kill_process(process, signal);
}

impl Running {
    /// Waits until nothing runs; gives the exit code.
    fn ended(mut self) -> Option<i32> {
        eventually("the worker stays", || !runs(self.worker));
        eventually("the program stays", || !runs(self.program));
        self.vgpu.wait().unwrap().code()
    }
}

#[test]
fn nothing_stays_of_a_killed_run() {
    for victim in [|run: &Running| run.vgpu.id(), |run: &Running| run.program] {
        let running = start(&[]);
        send(victim(&running), Signal::KILL);
        running.ended();
    }
}

#[test]
fn signals_are_passed_on_to_the_program() {
    // Without a terminal: what is typed there reaches the program by itself.
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let running = start(&["setsid"]);
        send(running.vgpu.id(), signal);
        assert_eq!(running.ended(), Some(code), "{signal:?}");
    }
}

#[test]
fn what_is_typed_ends_the_program_once() {
    // The terminal's driver sends it to all of its foreground: script(1) has one. Its shell must not stay there: dash
    // ends by what was typed, whatever its child ends by.
    let library = Library::new();
    let count = "trap 'n=$((n+1))' INT; n=0; echo ready; i=0; \
                 while [ $n = 0 ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; sleep 0.5; echo \"got $n\"; exit 7";
    let run = format!(
        "exec {} run --library {} -- sh -c {}",
        env!("CARGO_BIN_EXE_vgpu"),
        library.path().display(),
        quoted(count)
    );
    let mut script = Command::new("script");
    script.args([
        "--quiet",
        "--return",
        "--flush",
        "--command",
        &run,
        "/dev/null",
    ]);
    let mut script = script
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(script.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(out.any(|line| line.trim() == "ready"));
    std::thread::sleep(Duration::from_millis(100));
    std::io::Write::write_all(script.stdin.as_mut().unwrap(), b"\x03").unwrap();
    let rest: Vec<_> = out.collect();
    assert!(
        rest.iter().any(|line| line.trim().ends_with("got 1")),
        "{rest:?}"
    );
    assert_eq!(script.wait().unwrap().code(), Some(7));
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn what_is_ignored_stays_ignored() {
    let running = start(&["nohup"]);
    send(running.vgpu.id(), Signal::HUP);
    send(running.program, Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    assert!(runs(running.program) && runs(running.vgpu.id()));
    send(running.vgpu.id(), Signal::TERM);
    assert_eq!(running.ended(), Some(143));
}
