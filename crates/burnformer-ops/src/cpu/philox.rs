//! Dropout's multipliers of many columns at once.

use super::Vectors;
use burnformer_core::random::Draw;

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
    /// The multipliers of the columns that begin with this quad: 0 where [`Draw::quad`]'s number is below the threshold.
    #[inline(always)]
    pub(super) fn fill(self, vectors: Vectors, quad: u32, out: &mut [f32]) {
        match vectors {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512(simd) => {
                // Four registers hide the latency of a round; more would not fit.
                let (blocks, rest) = out.as_chunks_mut::<128>();
                let mut quad = quad;
                for block in blocks {
                    self.block::<_, 4, 128>(simd, quad, block);
                    quad = quad.wrapping_add(32);
                }
                match rest.len() {
                    0 => {}
                    1..=32 => self.rest::<_, 1, 32>(simd, quad, rest),
                    33..=64 => self.rest::<_, 2, 64>(simd, quad, rest),
                    _ => self.rest::<_, 4, 128>(simd, quad, rest),
                }
            }
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2(simd) => {
                let (blocks, rest) = out.as_chunks_mut::<32>();
                let mut quad = quad;
                for block in blocks {
                    self.block::<_, 2, 32>(simd, quad, block);
                    quad = quad.wrapping_add(8);
                }
                if !rest.is_empty() {
                    self.rest::<_, 2, 32>(simd, quad, rest);
                }
            }
            Vectors::Baseline => {
                for (index, out) in (0..).zip(out.chunks_mut(4)) {
                    let numbers = Draw::quad(self.key, self.sample, self.row, quad.wrapping_add(index));
                    for (out, number) in out.iter_mut().zip(numbers) {
                        *out = if number < self.threshold { 0.0 } else { self.kept };
                    }
                }
            }
        }
    }

    /// [`Self::block`] of which the first columns are wanted.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn rest<C: Counters, const N: usize, const COLUMNS: usize>(self, simd: C, quad: u32, out: &mut [f32]) {
        let mut block = [0.0; COLUMNS];
        self.block::<C, N, COLUMNS>(simd, quad, &mut block);
        out.copy_from_slice(&block[..out.len()]);
    }

    /// As many columns as `N` registers of counters have.
    ///
    /// Source: Salmon et al. 2011, as for [`Draw::quad`].
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn block<C: Counters, const N: usize, const COLUMNS: usize>(self, simd: C, quad: u32, out: &mut [f32; COLUMNS]) {
        const { assert!(COLUMNS == 4 * C::COUNTERS * N) };
        let [multiplier_0, multiplier_2] = [0xD251_1F53, 0xCD9E_8D57].map(|word| simd.all(word));
        let mut c0: [C::Words; N] = std::array::from_fn(|i| simd.from(quad.wrapping_add((i * C::COUNTERS) as u32)));
        let [mut c1, mut c2, mut c3] =
            [self.row, self.sample as u32, (self.sample >> 32) as u32].map(|word| [simd.all(word); N]);
        let [mut k0, mut k1] = self.key;
        for _ in 0..10 {
            let [key_0, key_1] = [k0, k1].map(|word| simd.all(word));
            for i in 0..N {
                let product_0 = simd.multiply(multiplier_0, c0[i]);
                let product_2 = simd.multiply(multiplier_2, c2[i]);
                c0[i] = simd.xor(simd.upper(product_2), c1[i], key_0);
                c2[i] = simd.xor(simd.upper(product_0), c3[i], key_1);
                c1[i] = product_2;
                c3[i] = product_0;
            }
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }
        for (i, out) in out.chunks_exact_mut(4 * C::COUNTERS).enumerate() {
            simd.compare([c0[i], c1[i], c2[i], c3[i]], self.threshold, self.kept, out);
        }
    }
}

/// Counters in registers: a word of each lies in the lower half of a lane of 64 bits. What is in the upper half does not
/// matter. (Compilers leave the products of 32 by 32 bits scalar.)
#[cfg(target_arch = "x86_64")]
trait Counters: Copy {
    type Words: Copy;
    /// Lanes of a register.
    const COUNTERS: usize;

    /// One word for all counters.
    fn all(self, word: u32) -> Self::Words;

    /// Words that count from `first` on.
    fn from(self, first: u32) -> Self::Words;

    /// Products of 64 bits.
    fn multiply(self, a: Self::Words, b: Self::Words) -> Self::Words;

    /// Upper halves.
    fn upper(self, a: Self::Words) -> Self::Words;

    fn xor(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words;

    /// `kept`, or zero for a number below the threshold, for the four words of each counter.
    fn compare(self, words: [Self::Words; 4], threshold: u32, kept: f32, out: &mut [f32]);
}

#[cfg(target_arch = "x86_64")]
impl Counters for pulp::x86::V4 {
    type Words = std::arch::x86_64::__m512i;
    const COUNTERS: usize = 8;

    #[inline(always)]
    fn all(self, word: u32) -> Self::Words {
        self.avx512f._mm512_set1_epi64(i64::from(word))
    }

    #[inline(always)]
    fn from(self, first: u32) -> Self::Words {
        pulp::cast::<[u64; 8], Self::Words>(std::array::from_fn(|i| u64::from(first.wrapping_add(i as u32))))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Words, b: Self::Words) -> Self::Words {
        self.avx512f._mm512_mul_epu32(a, b)
    }

    #[inline(always)]
    fn upper(self, a: Self::Words) -> Self::Words {
        self.avx512f._mm512_srli_epi64::<32>(a)
    }

    #[inline(always)]
    fn xor(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words {
        self.avx512f._mm512_xor_si512(self.avx512f._mm512_xor_si512(a, b), c)
    }

    #[inline(always)]
    fn compare(self, [w0, w1, w2, w3]: [Self::Words; 4], threshold: u32, kept: f32, out: &mut [f32]) {
        let simd = self.avx512f;
        let pair = |low, high| simd._mm512_mask_blend_epi32(0xAAAA, low, simd._mm512_slli_epi64::<32>(high));
        // Words 0 and 1 of eight counters, then words 2 and 3: the quads of four counters each.
        let (first, second) = (pair(w0, w1), pair(w2, w3));
        let orders: [Self::Words; 2] = [[0_u64, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]].map(pulp::cast);
        let (threshold, kept) = (simd._mm512_set1_epi32(threshold as i32), simd._mm512_set1_ps(kept));
        for (out, order) in out.as_chunks_mut::<16>().0.iter_mut().zip(orders) {
            let numbers = simd._mm512_permutex2var_epi64(first, order, second);
            let is_kept = simd._mm512_cmpge_epu32_mask(numbers, threshold);
            *out = pulp::cast(simd._mm512_maskz_mov_ps(is_kept, kept));
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Counters for pulp::x86::V3 {
    type Words = std::arch::x86_64::__m256i;
    const COUNTERS: usize = 4;

    #[inline(always)]
    fn all(self, word: u32) -> Self::Words {
        self.avx._mm256_set1_epi64x(i64::from(word))
    }

    #[inline(always)]
    fn from(self, first: u32) -> Self::Words {
        pulp::cast::<[u64; 4], Self::Words>(std::array::from_fn(|i| u64::from(first.wrapping_add(i as u32))))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Words, b: Self::Words) -> Self::Words {
        self.avx2._mm256_mul_epu32(a, b)
    }

    #[inline(always)]
    fn upper(self, a: Self::Words) -> Self::Words {
        self.avx2._mm256_srli_epi64::<32>(a)
    }

    #[inline(always)]
    fn xor(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words {
        self.avx2._mm256_xor_si256(self.avx2._mm256_xor_si256(a, b), c)
    }

    #[inline(always)]
    fn compare(self, [w0, w1, w2, w3]: [Self::Words; 4], threshold: u32, kept: f32, out: &mut [f32]) {
        let (avx, avx2) = (self.avx, self.avx2);
        let pair = |low, high| avx2._mm256_blend_epi32::<0xAA>(low, avx2._mm256_slli_epi64::<32>(high));
        // Words 0 and 1 of four counters, then words 2 and 3: the quads of counters 0 and 2, then of 1 and 3.
        let (first, second) = (pair(w0, w1), pair(w2, w3));
        let (even, odd) = (avx2._mm256_unpacklo_epi64(first, second), avx2._mm256_unpackhi_epi64(first, second));
        let numbers =
            [avx2._mm256_permute2x128_si256::<0x20>(even, odd), avx2._mm256_permute2x128_si256::<0x31>(even, odd)];
        let (threshold, kept) = (avx._mm256_set1_epi32(threshold as i32), avx._mm256_set1_ps(kept));
        for (out, numbers) in out.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            let is_kept = avx2._mm256_cmpeq_epi32(avx2._mm256_max_epu32(numbers, threshold), numbers);
            *out = pulp::cast(avx._mm256_and_ps(avx._mm256_castsi256_ps(is_kept), kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_are_those_of_the_draws_quads() {
        for vectors in Vectors::all() {
            for (quad, row, sample) in [(0, 0, 0), (5, 3, 1 << 40), (u32::MAX - 3, 70_000, u64::MAX)] {
                let key = [0x9E37_79B9, 7];
                let row = Row { key, sample, row, threshold: 0x4000_0000, kept: 1.5 };
                for columns in [1, 31, 32, 33, 64, 70, 127, 128, 300] {
                    let mut out = vec![f32::NAN; columns];
                    vectors.vectorized(
                        #[inline(always)]
                        || row.fill(vectors, quad, &mut out),
                    );
                    for (index, x) in out.into_iter().enumerate() {
                        let numbers = Draw::quad(key, sample, row.row, quad.wrapping_add(index as u32 / 4));
                        let expected = if numbers[index % 4] < 0x4000_0000 { 0.0 } else { 1.5 };
                        assert_eq!(x, expected, "column {index} of {columns} by {vectors:?}");
                    }
                }
            }
        }
    }
}
