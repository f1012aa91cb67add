//! Dropout's multipliers of many columns at once.

use burnformer_core::random::Draw;

/// Columns of a block.
pub(super) const COLUMNS: usize = 64;

/// One row of a sample, and what its numbers are compared with.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) key: [u32; 2],
    pub(super) sample: u64,
    pub(super) row: u32,
    pub(super) threshold: u32,
    pub(super) kept: f32,
}

impl Row {
    /// The multipliers of the block of columns that begins with this quad: 0 where [`Draw::quad`]'s number is below the
    /// threshold.
    #[inline(always)]
    pub(super) fn fill(self, quad: u32, out: &mut [f32; COLUMNS]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V4::try_new() {
            return self.fill_by_avx_512(simd, quad, out);
        }
        for (index, out) in (0..).zip(out.as_chunks_mut::<4>().0) {
            let numbers = Draw::quad(self.key, self.sample, self.row, quad.wrapping_add(index));
            *out = numbers.map(|number| if number < self.threshold { 0.0 } else { self.kept });
        }
    }

    /// Sixteen counters in two registers a word. Compilers leave the products of 32 by 32 bits scalar.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn fill_by_avx_512(self, simd: pulp::x86::V4, quad: u32, out: &mut [f32; COLUMNS]) {
        use std::arch::x86_64::__m512i;
        let simd = simd.avx512f;
        // A word lies in the lower half of a lane of 64 bits. What is in the upper half does not matter.
        let all = |word: u32| simd._mm512_set1_epi64(i64::from(word));
        let counters = |first: u32| -> __m512i {
            pulp::cast::<[u64; 8], __m512i>(std::array::from_fn(|i| u64::from(quad.wrapping_add(first + i as u32))))
        };
        let xor = |a, b, c| simd._mm512_xor_si512(simd._mm512_xor_si512(a, b), c);
        let [multiplier_0, multiplier_2] = [0xD251_1F53, 0xCD9E_8D57].map(all);
        let mut c0 = [counters(0), counters(8)];
        let (mut c1, mut c2, mut c3) =
            ([all(self.row); 2], [all(self.sample as u32); 2], [all((self.sample >> 32) as u32); 2]);
        let [mut k0, mut k1] = self.key;
        for _ in 0..10 {
            let [key_0, key_1] = [k0, k1].map(all);
            for half in 0..2 {
                let product_0 = simd._mm512_mul_epu32(multiplier_0, c0[half]);
                let product_2 = simd._mm512_mul_epu32(multiplier_2, c2[half]);
                c0[half] = xor(simd._mm512_srli_epi64::<32>(product_2), c1[half], key_0);
                c2[half] = xor(simd._mm512_srli_epi64::<32>(product_0), c3[half], key_1);
                c1[half] = product_2;
                c3[half] = product_0;
            }
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }

        let threshold = simd._mm512_set1_epi32(self.threshold as i32);
        let kept = simd._mm512_set1_ps(self.kept);
        // Words 0 and 1 of eight counters, then words 2 and 3: the quads of four counters each.
        let orders: [__m512i; 2] = [[0_u64, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]].map(pulp::cast);
        let (parts, _) = out.as_chunks_mut::<16>();
        for (index, part) in parts.iter_mut().enumerate() {
            let half = index / 2;
            let pair = |low, high| simd._mm512_mask_blend_epi32(0xAAAA, low, simd._mm512_slli_epi64::<32>(high));
            let (first, second) = (pair(c0[half], c1[half]), pair(c2[half], c3[half]));
            let words = simd._mm512_permutex2var_epi64(first, orders[index % 2], second);
            let is_kept = simd._mm512_cmpge_epu32_mask(words, threshold);
            *part = pulp::cast(simd._mm512_maskz_mov_ps(is_kept, kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_draws_quads() {
        for (quad, row, sample) in [(0, 0, 0), (5, 3, 1 << 40), (u32::MAX - 3, 70_000, u64::MAX)] {
            let key = [0x9E37_79B9, 7];
            let row = Row { key, sample, row, threshold: 0x4000_0000, kept: 1.5 };
            let mut out = [f32::NAN; COLUMNS];
            super::super::vectorized(
                #[inline(always)]
                || row.fill(quad, &mut out),
            );
            for (index, x) in out.into_iter().enumerate() {
                let numbers = Draw::quad(key, sample, row.row, quad.wrapping_add(index as u32 / 4));
                assert_eq!(x, if numbers[index % 4] < 0x4000_0000 { 0.0 } else { 1.5 }, "column {index}");
            }
        }
    }
}
