//! The matrix unit of Intel's processors (AMX): who may use it, its tile registers, and the loop that multiplies two panels.
//!
//! Stable Rust has no intrinsics for it, hence inline assembly. Sources: Intel 64 and IA-32 Architectures Software Developer's
//! Manual, volume 1, chapter "Programming with Intel AMX"; Linux, `Documentation/arch/x86/xstate.rst`.

#[cfg(all(test, target_os = "linux"))]
pub(super) mod emulator;

use std::arch::asm;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::lines::Line;

/// Rows and columns of a product: two tiles each way.
pub(super) const SIZE: usize = 2 * TILE;

/// Rows of a tile, and 32-bit words in each of them.
const TILE: usize = 16;

/// What the matrix unit multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factors {
    Bf16,
    Int8,
}

/// Whether this process can use the matrix unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// The processor has none.
    Absent,
    /// The processor has one, and the system does not let this process use it.
    Refused,
    Available {
        bf16: bool,
        int8: bool,
    },
}

/// Whether this process can use the matrix unit. Asks the system for it on the first call; threads that were there before may
/// use it too.
pub(crate) fn availability() -> Availability {
    static AVAILABILITY: OnceLock<Availability> = OnceLock::new();
    *AVAILABILITY.get_or_init(|| {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        let [bf16, tiles, int8] = [22, 24, 25].map(|bit| 1 << bit);
        let flags = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 };
        if flags & tiles == 0 {
            Availability::Absent
        } else if is_enabled() && is_permitted() {
            Availability::Available { bf16: flags & bf16 != 0, int8: flags & int8 != 0 }
        } else {
            Availability::Refused
        }
    })
}

/// Whether this process can multiply such factors.
pub(crate) fn multiplies(factors: Factors) -> bool {
    #[cfg(all(test, target_os = "linux"))]
    if emulator::is_installed() {
        return true;
    }
    match (availability(), factors) {
        (Availability::Available { bf16, .. }, Factors::Bf16) => bf16,
        (Availability::Available { int8, .. }, Factors::Int8) => int8,
        (Availability::Absent | Availability::Refused, _) => false,
    }
}

/// `true` if the system saves the tiles' configuration and contents when it changes threads.
fn is_enabled() -> bool {
    /// Bits 17 and 18 of XCR0.
    const TILES: u64 = 0b11 << 17;
    #[target_feature(enable = "xsave")]
    fn xcr0() -> u64 {
        // SAFETY: The caller has checked for AVX-512, without which the system has not enabled this instruction.
        unsafe { std::arch::x86_64::_xgetbv(0) }
    }
    // SAFETY: As above.
    is_x86_feature_detected!("avx512f") && unsafe { xcr0() } & TILES == TILES
}

/// `true` if the system gives this process room for the contents of tiles.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: The call reads and writes no memory of ours.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// The tile registers of this thread, configured as eight tiles of 16 rows and 64 bytes; released by [`Drop`].
///
/// A thread that gives its processor away keeps them, at the price of saving 8 KiB: they should live for one task.
pub(super) struct Tiles {
    /// Registers belong to a thread.
    of_thread: PhantomData<*const ()>,
}

/// The sums of a product, row by row.
#[repr(C, align(64))]
pub(super) struct Sums<T>(pub(super) [[T; SIZE]; SIZE]);

impl<T: Copy + Default> Sums<T> {
    pub(super) fn zero() -> Self {
        Self([[T::default(); SIZE]; SIZE])
    }
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// # Panics
    /// Where the matrix unit is not available.
    pub(super) fn configure() -> Self {
        static WHOLE: Configuration = {
            let mut whole =
                Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
            let mut tile = 0;
            while tile < 8 {
                whole.row_bytes[tile] = 64;
                whole.rows[tile] = TILE as u8;
                tile += 1;
            }
            whole
        };
        assert!(multiplies(Factors::Bf16) || multiplies(Factors::Int8), "this process has no matrix unit");
        // SAFETY: The unit is there, and what is read is a configuration.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags)) };
        Self { of_thread: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: The unit is there, since it was configured.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Rows of a left factor in memory.
pub(super) struct Rows<'a> {
    pub(super) lines: &'a [Line],
    /// Lines from one row to the next.
    pub(super) row: usize,
    /// Lines from one block to the next.
    pub(super) block: usize,
}

/// A method of [`Tiles`] that multiplies rows and a panel of columns with an instruction.
macro_rules! multiply {
    ($(#[$doc:meta])* $name:ident, $sum:ty, $instruction:literal) => {
        impl Tiles {
            $(#[$doc])*
            ///
            /// Blocks are 16 steps, and a step is a word of each row and column. A block of `a` is a line of each row: of 16 if
            /// there are no more `rows`, and otherwise of 32. A block of `b` is the words of 32 columns for each of its steps.
            ///
            /// # Panics
            /// If a factor is shorter than its blocks.
            pub(super) fn $name(&self, a: &Rows, b: &[Line], blocks: usize, rows: usize, sums: &mut Sums<$sum>) {
                if blocks == 0 {
                    *sums = Sums::zero();
                    return;
                }
                let loaded = if rows > TILE { SIZE } else { TILE };
                assert!(a.lines.len() > (blocks - 1) * a.block + (loaded - 1) * a.row && b.len() >= blocks * SIZE);
                let row = a.row * size_of::<Line>();
                // SAFETY: The tiles are configured, the blocks are inside of their factors, and the sums are two tiles each
                // way. All rows of `b` and of the sums are two lines.
                unsafe {
                    if rows > TILE {
                        asm!(
                            "tilezero tmm0",
                            "tilezero tmm1",
                            "tilezero tmm2",
                            "tilezero tmm3",
                            "2:",
                            "tileloadd tmm6, [{b} + {line} * 2]",
                            "tileloadd tmm4, [{a} + {row} * 1]",
                            "tileloadd tmm7, [{b} + {line} * 2 + 64]",
                            concat!($instruction, " tmm0, tmm4, tmm6"),
                            concat!($instruction, " tmm1, tmm4, tmm7"),
                            "tileloadd tmm5, [{lower} + {row} * 1]",
                            concat!($instruction, " tmm2, tmm5, tmm6"),
                            concat!($instruction, " tmm3, tmm5, tmm7"),
                            "add {a}, {block}",
                            "add {lower}, {block}",
                            "add {b}, 2048",
                            "sub {blocks}, 1",
                            "jnz 2b",
                            "tilestored [{sums} + {line} * 2], tmm0",
                            "tilestored [{sums} + {line} * 2 + 64], tmm1",
                            "tilestored [{sums} + {line} * 2 + 2048], tmm2",
                            "tilestored [{sums} + {line} * 2 + 2112], tmm3",
                            a = inout(reg) a.lines.as_ptr() => _,
                            lower = inout(reg) a.lines[TILE * a.row..].as_ptr() => _,
                            b = inout(reg) b.as_ptr() => _,
                            blocks = inout(reg) blocks => _,
                            sums = in(reg) &raw mut *sums,
                            line = in(reg) size_of::<Line>(),
                            row = in(reg) row,
                            block = in(reg) a.block * size_of::<Line>(),
                            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                            options(nostack),
                        );
                    } else {
                        asm!(
                            "tilezero tmm0",
                            "tilezero tmm1",
                            "2:",
                            "tileloadd tmm6, [{b} + {line} * 2]",
                            "tileloadd tmm4, [{a} + {row} * 1]",
                            "tileloadd tmm7, [{b} + {line} * 2 + 64]",
                            concat!($instruction, " tmm0, tmm4, tmm6"),
                            concat!($instruction, " tmm1, tmm4, tmm7"),
                            "add {a}, {block}",
                            "add {b}, 2048",
                            "sub {blocks}, 1",
                            "jnz 2b",
                            "tilestored [{sums} + {line} * 2], tmm0",
                            "tilestored [{sums} + {line} * 2 + 64], tmm1",
                            a = inout(reg) a.lines.as_ptr() => _,
                            b = inout(reg) b.as_ptr() => _,
                            blocks = inout(reg) blocks => _,
                            sums = in(reg) &raw mut *sums,
                            line = in(reg) size_of::<Line>(),
                            row = in(reg) row,
                            block = in(reg) a.block * size_of::<Line>(),
                            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                            options(nostack),
                        );
                    }
                }
            }
        }
    };
}

multiply! {
    /// Products of bfloat16, a pair to a word. Subnormal numbers count as zero; sums are rounded to nearest with ties to even,
    /// those of the first and of the second halves of 16 words by themselves before they are added to the sum of what was
    /// before (SDM, volume 2, `TDPBF16PS`).
    multiply_bf16, f32, "tdpbf16ps"
}

multiply! {
    /// Products of unsigned by signed bytes, four to a word, with exact sums that wrap.
    multiply_int8, i32, "tdpbusd"
}
