//! Registers of AVX-512, which are lines of a cache too: sixteen 32-bit words, each an `f32` or a pair of bfloat16.

use std::arch::x86_64::*;

/// A register whose words are pairs.
pub(super) type Line = __m512i;

pub(super) const WORDS: usize = 16;

// SAFETY: both are 64 bytes in which any bits are fine.
pub(super) const ZERO: Line = unsafe { std::mem::transmute::<[u32; WORDS], Line>([0; WORDS]) };

/// Lines of memory as registers.
pub(super) fn registers(lines: &[super::buffer::Line]) -> &[Line] {
    // SAFETY: Both are 64 bytes at multiples of 64, in which any bits are fine.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len()) }
}

/// [`registers`] to write.
pub(super) fn registers_mut(lines: &mut [super::buffer::Line]) -> &mut [Line] {
    // SAFETY: As in `registers`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len()) }
}

/// Takes the halves of each word from the lower and from the upper half of a register.
// SAFETY: both are 64 bytes in which any bits are fine.
const HALVES: Line = unsafe {
    std::mem::transmute::<[u16; 2 * WORDS], Line>({
        let mut order = [0; 2 * WORDS];
        let mut i = 0;
        while i < WORDS {
            order[2 * i] = i as u16;
            order[2 * i + 1] = (i + WORDS) as u16;
            i += 1;
        }
        order
    })
};

/// At most 16 elements, with zeros behind the last.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(elements: &[f32]) -> __m512 {
    if elements.len() >= WORDS {
        // SAFETY: there are 16 elements.
        unsafe { _mm512_loadu_ps(elements.as_ptr()) }
    } else {
        // SAFETY: elements that are not there are masked out, and are not read.
        unsafe { _mm512_maskz_loadu_ps((1 << elements.len()) - 1, elements.as_ptr()) }
    }
}

/// [`load`] as a line.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_line(elements: &[f32]) -> Line {
    _mm512_castps_si512(load(elements))
}

/// The first words of a line, at most 16.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_line(line: Line, elements: &mut [f32]) {
    let words = _mm512_castsi512_ps(line);
    if elements.len() >= WORDS {
        // SAFETY: there are 16 elements.
        unsafe { _mm512_storeu_ps(elements.as_mut_ptr(), words) }
    } else {
        // SAFETY: elements that are not there are masked out, and are not written.
        unsafe { _mm512_mask_storeu_ps(elements.as_mut_ptr(), (1 << elements.len()) - 1, words) }
    }
}

/// Fetches a line of the cache if the place exists, which it need not.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn prefetch(place: *const f32) {
    _mm_prefetch::<_MM_HINT_T0>(place.cast());
}

/// The elements of a register.
#[inline]
pub(super) fn elements(register: __m512) -> [f32; WORDS] {
    // SAFETY: both are 64 bytes, and any bits are an `f32`.
    unsafe { std::mem::transmute(register) }
}

/// At most 32 elements as pairs of neighbours, rounded to nearest with ties to even.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn pairs(elements: &[f32]) -> Line {
    let upper = load(elements.get(WORDS..).unwrap_or_default());
    // SAFETY: both are 64 bytes in which any bits are fine.
    unsafe { std::mem::transmute::<__m512bh, Line>(_mm512_cvtne2ps_pbh(upper, load(elements))) }
}

/// The elements of two registers as pairs of one from each, rounded in the same way.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn zip(first: __m512, second: __m512) -> Line {
    // SAFETY: both are 64 bytes in which any bits are fine.
    let rounded = unsafe { std::mem::transmute::<__m512bh, Line>(_mm512_cvtne2ps_pbh(second, first)) };
    _mm512_permutexvar_epi16(HALVES, rounded)
}

/// Adds the products of pairs, each word by itself.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn multiply_add(a: Line, b: Line, sum: __m512) -> __m512 {
    // SAFETY: both are 64 bytes in which any bits are fine.
    let [a, b] = unsafe { std::mem::transmute::<[Line; 2], [__m512bh; 2]>([a, b]) };
    _mm512_dpbf16_ps(sum, a, b)
}

/// Word `j` of line `i` goes to word `i` of line `j`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(mut lines: [Line; WORDS]) -> [Line; WORDS] {
    // Words, pairs of words, then quarters of lines change places.
    for i in (0..WORDS).step_by(2) {
        let (a, b) = (lines[i], lines[i + 1]);
        lines[i] = _mm512_unpacklo_epi32(a, b);
        lines[i + 1] = _mm512_unpackhi_epi32(a, b);
    }
    for i in (0..WORDS).step_by(4) {
        let [a, b, c, d] = [lines[i], lines[i + 1], lines[i + 2], lines[i + 3]];
        lines[i] = _mm512_unpacklo_epi64(a, c);
        lines[i + 1] = _mm512_unpackhi_epi64(a, c);
        lines[i + 2] = _mm512_unpacklo_epi64(b, d);
        lines[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for i in 0..4 {
        let [a, b, c, d] = [lines[i], lines[i + 4], lines[i + 8], lines[i + 12]];
        let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        lines[i] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
        lines[i + 8] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
        lines[i + 4] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
        lines[i + 12] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
    }
    lines
}
