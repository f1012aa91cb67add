//! AMX where the processor has none, for tests: the system's signal of an unknown instruction runs a model of the instruction
//! on the registers of the thread, and goes on behind it. So tests run the instructions of the kernels, one by one.
//!
//! What a processor would refuse ends the process, as it would there.

mod decode;
mod unit;

use std::cell::UnsafeCell;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void};

use self::decode::{Memory, decode};
use self::unit::Unit;
use crate::cpu::processor::Processor;

thread_local! {
    static UNIT: UnsafeCell<Unit> = const { UnsafeCell::new(Unit::new()) };
}

static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// The matrix unit for kernels of a test: that of the processor, or else this one. `false` where the kernels also need other
/// instructions that the processor lacks, which it says.
pub(in super::super) fn is_ready() -> bool {
    let others = ["avx512f", "avx512bw", "avx512bf16"];
    let has = [
        is_x86_feature_detected!("avx512f"),
        is_x86_feature_detected!("avx512bw"),
        is_x86_feature_detected!("avx512bf16"),
    ];
    if let Some((name, _)) = others.iter().zip(has).find(|(_, has)| !has) {
        eprintln!("skipped: kernels for AMX also need {name}");
        return false;
    }
    if super::availability() == super::Availability::Absent {
        // What this processor multiplies with is found out before, or it would depend on which test runs first.
        Processor::this();
        install();
    }
    true
}

/// `true` once unknown instructions come here.
pub(in super::super) fn is_installed() -> bool {
    IS_INSTALLED.load(Ordering::Acquire)
}

/// `true` if the tiles of this thread are configured; of the emulator alone.
pub(in super::super) fn is_configured() -> bool {
    // SAFETY: Only this thread reaches its unit, and no instruction of it is being run.
    UNIT.with(|unit| unsafe { (*unit.get()).is_configured() })
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: An action without flags but `SA_SIGINFO` is valid as zeros, and the handler has the type for it.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_unknown_instruction as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()), 0);
        }
        IS_INSTALLED.store(true, Ordering::Release);
    });
}

/// Where the system keeps the general registers, in the order of their numbers in instructions.
const GENERAL: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Allocates nothing and takes no locks.
extern "C" fn on_unknown_instruction(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: The system passes the registers of the thread, of which nobody else has a reference.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let start = registers[libc::REG_RIP as usize];
    // SAFETY: The instruction is there. `decode` reads none of its bytes before the ones before have led there.
    let decoded = unsafe { decode(start as *const u8) };
    let place = |memory: Memory| {
        let value = |register: u8| registers[GENERAL[usize::from(register)] as usize] as usize;
        let index = memory.index.map_or(0, |index| value(index) << memory.scale);
        (value(memory.base).wrapping_add_signed(memory.displacement as isize), index)
    };
    let result = match &decoded {
        // SAFETY: The unit is that of this thread, whose code waits for the handler. The code's author has vouched for the
        // memory.
        Some((instruction, _)) => UNIT.with(|unit| unsafe { (*unit.get()).run(instruction, place) }),
        None => Err("no instruction of AMX"),
    };
    match (result, decoded) {
        (Ok(()), Some((_, length))) => registers[libc::REG_RIP as usize] = start + length as i64,
        (result, _) => {
            let reason = result.err().unwrap_or_default();
            // SAFETY: What is written lives; the default action ends the process when the instruction is run again.
            unsafe {
                for text in ["the emulator of AMX refuses an instruction: ", reason, "\n"] {
                    libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
                }
                libc::signal(libc::SIGILL, libc::SIG_DFL);
            }
        }
    }
}
