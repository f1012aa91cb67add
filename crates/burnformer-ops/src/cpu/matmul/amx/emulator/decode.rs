//! From the bytes of AMX's instructions to what they say.
//!
//! Source: Intel SDM, volume 2, section 2.3 (VEX prefix) and the pages of the instructions.

/// An instruction. Numbers are those of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// `ldtilecfg`
    LoadConfiguration(Memory),
    /// `tilerelease`
    Release,
    /// `tilezero`
    Zero(u8),
    /// `tileloadd`
    Load(u8, Memory),
    /// `tilestored`
    Store(u8, Memory),
    /// `tdp…`: adds the product of `a` and `b` to `sum`.
    Dot { factors: Factors, sum: u8, a: u8, b: u8 },
}

/// What the words of two tiles consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Factors {
    /// `tdpbf16ps`
    Bf16,
    /// `tdpbssd`, `tdpbsud`, `tdpbusd`, `tdpbuud`
    Int8 { a_is_signed: bool, b_is_signed: bool },
}

/// `[base + index * 2^scale + displacement]`, by numbers of general registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) base: u8,
    pub(super) index: Option<u8>,
    pub(super) scale: u8,
    pub(super) displacement: i32,
}

/// The instruction at `code` and its length in bytes, or nothing if it is no instruction of AMX that we use. Addresses relative
/// to the instruction, or without a base, are such too.
///
/// # Safety
/// There is an instruction of the processor at `code`, known or not.
pub(super) unsafe fn decode(code: *const u8) -> Option<(Instruction, usize)> {
    // SAFETY: By the caller; nothing behind the end of an instruction is read.
    let byte = |offset: usize| unsafe { *code.add(offset) };
    // A VEX prefix of three bytes, and the opcodes that begin with 0F 38.
    if byte(0) != 0xc4 || byte(1) & 0x1f != 2 {
        return None;
    }
    // The bits R, X and B are inverted.
    let [r, x, b] = [7, 6, 5].map(|bit| !byte(1) >> bit & 1);
    let second = byte(2);
    let (wide, vvvv, long, prefix) = (second >> 7, !second >> 3 & 0xf, second >> 2 & 1, second & 3);
    if wide != 0 || long != 0 {
        return None;
    }
    let (opcode, modrm) = (byte(3), byte(4));
    let (mode, reg, rm) = (modrm >> 6, modrm >> 3 & 7 | r << 3, modrm & 7);
    if mode == 3 {
        let rm = rm | b << 3;
        let instruction = match (opcode, prefix) {
            (0x49, 0) if vvvv == 0 && reg == 0 && rm == 0 => Instruction::Release,
            (0x49, 3) if vvvv == 0 && rm == 0 => Instruction::Zero(reg),
            (0x5c, 2) => Instruction::Dot { factors: Factors::Bf16, sum: reg, a: rm, b: vvvv },
            (0x5e, _) => {
                // Without a prefix both are unsigned.
                let [a_is_signed, b_is_signed] = [prefix & 2 != 0, prefix & 1 != 0];
                let factors = Factors::Int8 { a_is_signed, b_is_signed };
                Instruction::Dot { factors, sum: reg, a: rm, b: vvvv }
            }
            _ => return None,
        };
        return Some((instruction, 5));
    }
    if vvvv != 0 {
        return None;
    }
    let has_sib = rm == 4;
    let (base, index, scale) = if has_sib {
        let sib = byte(5);
        let index = sib >> 3 & 7 | x << 3;
        (sib & 7 | b << 3, (index != 4).then_some(index), sib >> 6)
    } else {
        (rm | b << 3, None, 0)
    };
    if mode == 0 && base & 7 == 5 {
        return None;
    }
    let behind = 5 + usize::from(has_sib);
    let (displacement, length) = match mode {
        0 => (0, behind),
        1 => (i32::from(byte(behind) as i8), behind + 1),
        _ => (i32::from_le_bytes(std::array::from_fn(|i| byte(behind + i))), behind + 4),
    };
    let memory = Memory { base, index, scale, displacement };
    let instruction = match (opcode, prefix) {
        (0x49, 0) if reg == 0 => Instruction::LoadConfiguration(memory),
        (0x4b, 3) if has_sib => Instruction::Load(reg, memory),
        (0x4b, 2) if has_sib => Instruction::Store(reg, memory),
        _ => return None,
    };
    Some((instruction, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    // What the assembler makes of them.
    std::arch::global_asm!(
        ".pushsection .rodata",
        "burnformer_amx_instructions:",
        "ldtilecfg [rax]",
        "ldtilecfg [r13 + 8]",
        "tileloadd tmm3, [r13 + r9 * 8 - 1000000]",
        "tileloadd tmm6, [rbp + rcx * 1]",
        "tileloadd tmm7, [rsp + r12 * 2 + 64]",
        "tilestored [rdx + r15 * 4 + 2112], tmm5",
        "tilezero tmm2",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tdpbssd tmm0, tmm5, tmm6",
        "tdpbsud tmm1, tmm5, tmm6",
        "tdpbusd tmm2, tmm5, tmm6",
        "tdpbuud tmm3, tmm5, tmm6",
        "tilerelease",
        "vpdpbusd ymm1, ymm2, ymm3",
        ".popsection",
    );

    unsafe extern "C" {
        static burnformer_amx_instructions: [u8; 0];
    }

    #[test]
    fn instructions_say_what_the_assembler_was_told() {
        let memory = |base, index, scale, displacement| Memory { base, index: Some(index), scale, displacement };
        let dot = |factors, sum, a, b| Instruction::Dot { factors, sum, a, b };
        let int8 = |a_is_signed, b_is_signed| Factors::Int8 { a_is_signed, b_is_signed };
        let expected = [
            Instruction::LoadConfiguration(Memory { base: 0, index: None, scale: 0, displacement: 0 }),
            Instruction::LoadConfiguration(Memory { base: 13, index: None, scale: 0, displacement: 8 }),
            Instruction::Load(3, memory(13, 9, 3, -1_000_000)),
            Instruction::Load(6, memory(5, 1, 0, 0)),
            Instruction::Load(7, memory(4, 12, 1, 64)),
            Instruction::Store(5, memory(2, 15, 2, 2112)),
            Instruction::Zero(2),
            dot(Factors::Bf16, 1, 4, 7),
            dot(int8(true, true), 0, 5, 6),
            dot(int8(true, false), 1, 5, 6),
            dot(int8(false, true), 2, 5, 6),
            dot(int8(false, false), 3, 5, 6),
            Instruction::Release,
        ];
        let mut code = &raw const burnformer_amx_instructions as *const u8;
        for expected in expected {
            // SAFETY: The instructions are there one after the other, and one more behind the last of AMX.
            let (found, length) = unsafe { decode(code) }.unwrap_or_else(|| panic!("{expected:?} is not known"));
            assert_eq!(found, expected);
            code = code.wrapping_add(length);
        }
        // SAFETY: As above.
        assert_eq!(unsafe { decode(code) }, None, "an instruction that is none of AMX");
    }
}
