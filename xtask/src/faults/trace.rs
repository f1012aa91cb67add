//! A program under `ptrace`: its system calls that write are counted, and one of them is where something goes wrong.
//!
//! `ptrace` sees the calls that reach the system, whoever makes them. A library preloaded in front of libc would miss those of
//! `rustix`, by which files are renamed; failpoints in our code would miss those of libraries; `strace` is not everywhere.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::trial::{Ended, Limit};

/// What goes wrong at a call that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The program is killed before the call.
    Kill,
    /// The program is killed when half of the bytes are written; before the call if it writes none.
    Tear,
    /// The disk is full from this call on.
    NoSpace,
    /// This call alone fails with an input/output error.
    Broken,
}

/// A call that writes, by its number; where it finds the file, and whether it takes space.
struct Call {
    name: &'static str,
    number: u64,
    file: Place,
    takes_space: bool,
}

/// How a call names its file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// By a path.
    Path,
    /// By a path, and it writes if the flags in this argument create a file.
    Created(usize),
    /// By the descriptor in this argument.
    Descriptor(usize),
}

const CALLS: &[Call] = &[
    call("write", 1, Place::Descriptor(0), true),
    call("pwrite64", 18, Place::Descriptor(0), true),
    call("writev", 20, Place::Descriptor(0), true),
    call("sendfile", 40, Place::Descriptor(0), true),
    call("copy_file_range", 326, Place::Descriptor(2), true),
    call("fallocate", 285, Place::Descriptor(0), true),
    call("ftruncate", 77, Place::Descriptor(0), false),
    call("fsync", 74, Place::Descriptor(0), false),
    call("fdatasync", 75, Place::Descriptor(0), false),
    call("fchmod", 91, Place::Descriptor(0), false),
    call("open", 2, Place::Created(1), true),
    call("openat", 257, Place::Created(2), true),
    call("rename", 82, Place::Path, false),
    call("renameat", 264, Place::Path, false),
    call("renameat2", 316, Place::Path, false),
    call("link", 86, Place::Path, false),
    call("linkat", 265, Place::Path, false),
    call("mkdir", 83, Place::Path, true),
    call("mkdirat", 258, Place::Path, true),
    call("rmdir", 84, Place::Path, false),
    call("unlink", 87, Place::Path, false),
    call("unlinkat", 263, Place::Path, false),
    call("chmod", 90, Place::Path, false),
];

const CREATE: u64 = 0o100;
const NO_SPACE: i64 = 28;
const BROKEN: i64 = 5;

const fn call(name: &'static str, number: u64, file: Place, takes_space: bool) -> Call {
    Call { name, number, file, takes_space }
}

/// Runs `program` in `folder`, and lets `fault` happen at its call with this number, from 0, that writes below `folder`. Returns
/// how it ended and the names of those calls, up to the fault.
///
/// # Errors
/// If it cannot be started or traced.
pub(super) fn run(
    program: &Path,
    args: &[String],
    folder: &Path,
    log: &Path,
    fault: Option<(Fault, usize)>,
) -> Result<(Ended, Vec<&'static str>)> {
    // The shell waits for a line, so that nothing of the program happens before it is traced.
    let mut child = Command::new("sh")
        .args(["-c", "read -r _ && exec \"$@\"", "sh"])
        .arg(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(log).with_context(|| format!("cannot create `{}`", log.display()))?)
        .spawn()
        .context("cannot start `sh`")?;
    let leader = Pid::from_raw(child.id().cast_signed());
    let limit = Limit::start(leader.as_raw());
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, options | Options::PTRACE_O_TRACEEXEC).context("cannot trace: is `ptrace` allowed here?")?;
    ptrace::interrupt(leader)?;
    let folder = fs::canonicalize(folder)?;
    let mut tracer = Tracer { folder: &folder, leader, fault, calls: Vec::new(), pending: None };
    let mut stdin = child.stdin.take();
    loop {
        let status = waitpid(None, Some(WaitPidFlag::__WALL)).context("cannot wait for the traced program")?;
        match status {
            WaitStatus::PtraceSyscall(thread) => tracer.stopped_at_call(thread)?,
            WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal))?,
            WaitStatus::Exited(thread, code) if thread == leader => {
                return Ok((Ended { code: Some(code), timed_out: limit.stop(), log: log.to_owned() }, tracer.calls));
            }
            WaitStatus::Signaled(thread, _, _) if thread == leader => {
                return Ok((Ended { code: None, timed_out: limit.stop(), log: log.to_owned() }, tracer.calls));
            }
            WaitStatus::PtraceEvent(thread, _, _) => {
                go_on(thread, None)?;
                if let Some(mut stdin) = stdin.take() {
                    std::io::Write::write_all(&mut stdin, b"\n")?;
                }
            }
            _ => {}
        }
    }
}

/// Whether programs can be traced here; some containers forbid it.
pub(super) fn is_allowed() -> bool {
    let Ok(mut child) = Command::new("sh").args(["-c", "read line"]).stdin(Stdio::piped()).spawn() else {
        return false;
    };
    let is_traced = ptrace::seize(Pid::from_raw(child.id().cast_signed()), Options::empty()).is_ok();
    let _ = child.kill();
    let _ = child.wait();
    is_traced
}

/// Lets a thread run to its next call. One that was killed meanwhile is gone.
fn go_on(thread: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(error) => bail!("cannot continue the traced program: {error}"),
    }
}

struct Tracer<'a> {
    folder: &'a Path,
    leader: Pid,
    fault: Option<(Fault, usize)>,
    calls: Vec<&'static str>,
    /// The thread whose call goes wrong, and what happens when it returns.
    pending: Option<(Pid, Return)>,
}

/// What happens when a call returns.
#[derive(Clone, Copy)]
enum Return {
    Error(i64),
    Kill,
}

impl Tracer<'_> {
    fn stopped_at_call(&mut self, thread: Pid) -> Result<()> {
        // 1 stands for the begin of a call, 2 for its end.
        let result = ptrace::syscall_info(thread).and_then(|info| match info.op {
            1 => self.begins(thread),
            2 => self.ends(thread),
            _ => Ok(()),
        });
        match result {
            Ok(()) | Err(nix::Error::ESRCH) => go_on(thread, None),
            Err(error) => bail!("cannot look into the traced program: {error}"),
        }
    }

    fn begins(&mut self, thread: Pid) -> nix::Result<()> {
        let mut registers = ptrace::getregs(thread)?;
        let arguments = [registers.rdi, registers.rsi, registers.rdx];
        let Some(call) = CALLS.iter().find(|call| call.number == registers.orig_rax) else { return Ok(()) };
        let writes = match call.file {
            Place::Path => true,
            Place::Created(flags) => arguments[flags] & CREATE != 0,
            Place::Descriptor(argument) => self.is_below(thread, arguments[argument]),
        };
        if !writes {
            return Ok(());
        }
        let number = self.calls.len();
        self.calls.push(call.name);
        let Some((fault, at)) = self.fault else { return Ok(()) };
        let error = match fault {
            Fault::NoSpace if number >= at && call.takes_space => NO_SPACE,
            Fault::Broken if number == at => BROKEN,
            Fault::Tear if number == at && call.name == "write" && registers.rdx > 1 => {
                registers.rdx /= 2;
                ptrace::setregs(thread, registers)?;
                self.pending = Some((thread, Return::Kill));
                return Ok(());
            }
            Fault::Kill | Fault::Tear if number == at => return kill(self.leader, Signal::SIGKILL),
            _ => return Ok(()),
        };
        // No call has this number; the error is put in when it returns.
        registers.orig_rax = u64::MAX;
        ptrace::setregs(thread, registers)?;
        self.pending = Some((thread, Return::Error(error)));
        Ok(())
    }

    fn ends(&mut self, thread: Pid) -> nix::Result<()> {
        let Some((_, what)) = self.pending.take_if(|(pending, _)| *pending == thread) else { return Ok(()) };
        match what {
            Return::Kill => kill(self.leader, Signal::SIGKILL),
            Return::Error(error) => {
                let mut registers = ptrace::getregs(thread)?;
                registers.rax = (-error).cast_unsigned();
                ptrace::setregs(thread, registers)
            }
        }
    }

    fn is_below(&self, thread: Pid, descriptor: u64) -> bool {
        fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).is_ok_and(|file| file.starts_with(self.folder))
    }
}
