//! Programs on our libcuda, over a real daemon and a real worker.
//!
//! A test starts a daemon, and this program again as the CUDA program; the
//! daemon starts `examples/cuda-worker.rs`.

#![allow(unsafe_code)]

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vgpu_transport::local::VARIABLE;
use vgpud::Daemon;

/// A folder with our library under both of its names, as it is installed.
struct Installed(TempDir);

impl Installed {
    fn new() -> Self {
        let test = std::env::current_exe().unwrap();
        let library = test.with_file_name("libcuda.so");
        assert!(library.is_file(), "{}", library.display());
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["libcuda.so", "libcuda.so.1"] {
            std::os::unix::fs::symlink(&library, folder.path().join(name)).unwrap();
        }
        Self(folder)
    }
}

#[macro_use]
mod library;

mod callbacks;
mod capture;
mod contexts;
mod current;
mod earlier;
mod graphs;
mod images;
mod kernels;
mod layouts;
mod links;
mod mappings;
mod memory;
mod nodes;
mod others;
mod parameters;
mod pools;
mod printing;
mod processes;
mod rows;
mod start;
mod streams;
mod unmodified;
mod workers;

type Test = fn();

/// Programs, each with the test that runs it with a daemon.
macro_rules! programs {
    ($($test:ident: $module:ident::$program:ident),* $(,)?) => {
        const PROGRAMS: &[(&str, Test)] = &[
            ("nothing", start::nothing),
            ("older", workers::older),
            ("garbled", printing::garbled),
            ("flooding", printing::flooding),
            $((concat!(stringify!($module), "::", stringify!($program)), $module::$program),)*
        ];

        $(#[test]
        fn $test() {
            let name = concat!(stringify!($module), "::", stringify!($program));
            assert!(run(name, true).success());
        })*
    };
}

programs! {
    bytes_go_to_the_device_and_back: memory::bytes,
    pinned_memory_is_shared: memory::pinned,
    a_modules_variables_are_copied_to_and_from: memory::variables,
    memory_that_was_freed_is_unknown: memory::freed,
    an_unmodified_cudarc_program_runs: unmodified::with_cudarc,
    errors_are_those_of_cuda: start::errors,
    functions_are_found: start::lookups,
    what_programs_call_is_exported: start::programs,
    a_context_ends_with_what_is_in_it: contexts::ends,
    a_context_has_limits: contexts::limits,
    there_is_no_peer: contexts::peers,
    current_contexts_are_a_stack: current::stack,
    a_context_counts_its_uses: current::uses,
    contexts_and_the_device_say_what_they_are: current::says,
    the_best_block_is_known: current::blocks,
    earlier_versions_make_graphs: earlier::graphs,
    earlier_versions_make_edges: earlier::edges,
    earlier_versions_write_words: earlier::words,
    earlier_versions_tell_of_captures: earlier::captures,
    earlier_versions_copy_and_look_up: earlier::others,
    pools_count_what_is_taken_from_them: pools::pools,
    streams_say_what_they_are: streams::streams,
    events_tell_the_time_where_they_may: streams::events,
    rows_are_copied: rows::copies_2d,
    slices_are_copied: rows::copies_3d,
    an_address_says_whose_it_is: rows::unified,
    rows_are_filled: rows::fills,
    memory_grows_at_reserved_addresses: mappings::grows,
    mappings_refuse_what_does_not_fit: mappings::refusals,
    kernels_reach_what_is_mapped: mappings::kernels,
    callbacks_run_in_their_order: callbacks::order,
    a_callback_may_call_nothing: callbacks::calls,
    a_fault_comes_to_callbacks: callbacks::faults,
    objects_end_with_their_graphs: callbacks::objects,
    what_a_stream_does_is_captured: capture::one_stream,
    several_streams_are_captured: capture::streams,
    captures_refuse_what_they_must: capture::refusals,
    a_graph_takes_captures: capture::into_graphs,
    edges_are_an_order: nodes::edges,
    nodes_have_parameters: nodes::parameters,
    graphs_are_copied: nodes::copies,
    a_programs_memory_is_registered: others::memory,
    one_device_and_one_process_share_nothing: others::refusals,
    pools_are_the_devices: others::pools,
    functions_say_what_they_are: others::functions,
    streams_write_words: others::streams,
    the_device_has_a_place: others::devices,
    a_program_ends_in_the_middle_of_work: processes::exit,
    the_library_stays_when_it_is_closed: processes::close,
    signals_interrupt_nothing: processes::signals,
    kernels_run: kernels::kernels,
    an_illegal_address_is_sticky: kernels::fault,
    an_error_of_arguments_comes_once: kernels::arguments,
    a_kernel_says_what_a_launch_has_to_be: kernels::required,
    parameters_have_any_size: parameters::sizes,
    attributes_of_a_launch_are_looked_at: kernels::attributes,
    an_image_may_be_a_file: images::files,
    an_image_that_is_cut_short_is_none: images::cut,
    the_ptx_of_a_fat_binary_is_taken: images::fatbins,
    a_library_is_its_module: images::libraries,
    a_refused_image_says_why: images::logs,
    what_is_linked_is_one_module: links::links,
    a_link_refuses_what_does_not_fit: links::refusals,
    there_is_an_end_of_links: links::many,
    events_have_an_end: streams::many_events,
    a_thread_calls_until_its_very_end: processes::late,
    a_graph_is_launched_again: graphs::graph,
    a_graph_copies: graphs::copies,
    threads_share_a_session: processes::threads,
    a_forked_child_has_no_session: processes::fork,
    a_killed_worker_is_an_unavailable_device: processes::lost,
    contexts_leave_nothing_in_the_worker: workers::contexts,
    what_kernels_print_is_the_programs_output: printing::prints,
    much_that_kernels_print_comes_in_turns: printing::prints_much,
    what_a_kernel_printed_before_it_failed_is_shown: printing::prints_and_fails,
}

#[test]
fn without_a_daemon_there_is_no_device() {
    assert!(run("nothing", false).success());
}

#[test]
fn an_older_worker_is_asked_for_nothing_that_it_does_not_know() {
    assert!(run_with("older", true, &["older"]).success());
}

#[test]
fn a_worker_that_breaks_the_protocol_of_notices_is_an_error() {
    assert!(run_with("garbled", true, &["garbled"]).success());
}

#[test]
fn a_worker_that_prints_without_an_end_holds_no_call() {
    assert!(run_with("flooding", true, &["flooding"]).success());
}

/// Not a test: the CUDA program's process.
#[test]
fn program() {
    let Some(name) = std::env::var_os("PROGRAM") else {
        return;
    };
    let (_, run) = PROGRAMS.iter().find(|(known, _)| name == *known).unwrap();
    run();
}

/// Runs a program with a daemon, or with none.
fn run(name: &str, served: bool) -> ExitStatus {
    run_with(name, served, &[])
}

/// The same, with arguments for its worker.
fn run_with(name: &str, served: bool, arguments: &[&str]) -> ExitStatus {
    let own = std::env::current_exe().unwrap();
    let worker = own.with_file_name("../examples/cuda-worker");
    let command = std::iter::once(worker.into()).chain(arguments.iter().map(Into::into));
    let mut daemon = Daemon::new(command.collect()).unwrap();
    let installed = Installed::new();
    let mut program = Command::new(own);
    program
        .args(["--exact", "program", "--nocapture", "--test-threads=1"])
        .env("PROGRAM", name)
        .env("LD_LIBRARY_PATH", installed.0.path());
    if served {
        program.env(VARIABLE, daemon.name().to_string());
    }
    let mut program = program.spawn().unwrap();
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        daemon.turn();
    };
    // Nothing stays.
    let start = Instant::now();
    while daemon.workers().count() > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "a worker stays");
        daemon.turn();
    }
    status
}
