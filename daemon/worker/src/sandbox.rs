//! What a worker gives up before it reads anything of its program's.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::SecureComputingMode;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// Why the sandbox is not in force. The worker must not go on.
#[derive(Debug, thiserror::Error)]
#[error("sandbox: {what}: {cause}")]
pub struct Error {
    what: &'static str,
    cause: String,
}

fn failed<E: ToString>(what: &'static str) -> impl Fn(E) -> Error {
    move |cause| Error {
        what,
        cause: cause.to_string(),
    }
}

/// What a worker may use at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of address space.
    pub address_space: u64,
    /// Bytes of a memory file.
    pub file_size: u64,
    /// Descriptors.
    pub descriptors: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address_space: 64 << 30,
            file_size: 1 << 30,
            descriptors: 64,
        }
    }
}

impl Limits {
    fn table(&self) -> [(Resource, u64); 4] {
        [
            (Resource::Core, 0),
            (Resource::As, self.address_space),
            (Resource::Fsize, self.file_size),
            (Resource::Nofile, self.descriptors),
        ]
    }
}

/// The proof that the sandbox is in force, for this process and all threads
/// that it starts.
#[derive(Debug)]
pub struct Sandboxed {
    /// Whether the kernel also denies files and networks by Landlock. It has
    /// that since Linux 5.13; the filter of system calls denies them anyway.
    pub landlock: bool,
}

/// Puts the sandbox in force, and checks that it is. To be called while the
/// process has one thread.
///
/// # Errors
/// A part of it is not in force.
pub fn enter(limits: &Limits) -> Result<Sandboxed, Error> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("dumps"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("new privileges"))?;
    for (resource, value) in limits.table() {
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, limit).map_err(failed("limits"))?;
    }
    let landlock = deny_files().map_err(failed("Landlock"))?;
    for filter in [refused(REFUSED[0]), refused(REFUSED[1]), allowed()] {
        let program = filter.and_then(BpfProgram::try_from);
        let program = program.map_err(failed("filter"))?;
        apply_filter_all_threads(&program).map_err(failed("filter"))?;
    }
    verify(limits)?;
    Ok(Sandboxed { landlock })
}

/// Asks the kernel, not this code, what is in force.
fn verify(limits: &Limits) -> Result<(), Error> {
    let check = |what, holds| match holds {
        true => Ok(()),
        false => Err(failed(what)("not in force")),
    };
    let no_new_privs = rustix::thread::no_new_privs() == Ok(true);
    check("new privileges", no_new_privs)?;
    let mode = rustix::thread::secure_computing_mode();
    check("filter", mode == Ok(SecureComputingMode::Filter))?;
    let dumpable = rustix::process::dumpable_behavior();
    check("dumps", dumpable == Ok(DumpableBehavior::NotDumpable))?;
    limits
        .table()
        .into_iter()
        .try_for_each(|(resource, value)| {
            let limit = getrlimit(resource);
            check(
                "limits",
                (limit.current, limit.maximum) == (Some(value), Some(value)),
            )
        })
}

/// Denies all files, networks and signals, as far as the kernel can.
fn deny_files() -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// The system calls of a worker that is set up: waiting, its socket, its memory,
/// its threads, its end.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_ppoll,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_fstat,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    // Refused by filters of their own.
    libc::SYS_clone3,
    libc::SYS_openat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    // A thread that ends the process while another one does.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pause,
];

/// What an argument must be: its index, a mask, the value under the mask.
type Argument = (u8, u64, u64);

const THREAD: u64 = libc::CLONE_THREAD as u64;
const NO_EXECUTION: Argument = (2, libc::PROT_EXEC as u64, 0);

/// System calls that are allowed with some arguments alone.
const ALLOWED_WITH: &[(i64, Argument)] = &[
    (libc::SYS_mmap, NO_EXECUTION),
    (libc::SYS_mprotect, NO_EXECUTION),
    // A thread, never a process.
    (libc::SYS_clone, (0, THREAD, THREAD)),
    // Reads limits, sets none.
    (libc::SYS_prlimit64, (2, u64::MAX, 0)),
    // The standard library of a debug build looks whether a descriptor is open.
    (libc::SYS_fcntl, (1, u32::MAX as u64, libc::F_GETFD as u64)),
    (
        libc::SYS_fcntl,
        (1, u32::MAX as u64, libc::F_ADD_SEALS as u64),
    ),
    (
        libc::SYS_fcntl,
        (1, u32::MAX as u64, libc::F_GET_SEALS as u64),
    ),
    (
        libc::SYS_prctl,
        (0, u32::MAX as u64, libc::PR_GET_SECCOMP as u64),
    ),
    (
        libc::SYS_prctl,
        (0, u32::MAX as u64, libc::PR_GET_NO_NEW_PRIVS as u64),
    ),
    (
        libc::SYS_prctl,
        (0, u32::MAX as u64, libc::PR_GET_DUMPABLE as u64),
    ),
    (
        libc::SYS_prctl,
        (0, u32::MAX as u64, libc::PR_SET_NAME as u64),
    ),
];

/// Ends the process, all threads of it, where it makes any other system call.
fn allowed() -> Result<SeccompFilter, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &call in ALLOWED {
        rules.insert(call, Vec::new());
    }
    for &(call, (argument, mask, value)) in ALLOWED_WITH {
        let length = SeccompCmpArgLen::Qword;
        let equal = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(argument, length, equal, value)?;
        let rule = SeccompRule::new(vec![condition])?;
        rules.entry(call).or_default().push(rule);
    }
    filter(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// System calls that give an error instead of ending the process, as the C
/// library makes them of its own accord and then does without.
const REFUSED: [(i64, i32); 2] = [
    // It then starts threads by clone, whose flags a filter sees.
    (libc::SYS_clone3, libc::ENOSYS),
    // It asks /proc/sys/vm/overcommit_memory when a thread frees much.
    (libc::SYS_openat, libc::EACCES),
];

fn refused((call, error): (i64, i32)) -> Result<SeccompFilter, seccompiler::BackendError> {
    let rules = BTreeMap::from([(call, Vec::new())]);
    let error = SeccompAction::Errno(error.cast_unsigned());
    filter(rules, SeccompAction::Allow, error)
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<SeccompFilter, seccompiler::BackendError> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, others, these, machine)
}
