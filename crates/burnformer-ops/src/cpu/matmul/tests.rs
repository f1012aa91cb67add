//! Products against sums in `f64`.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use super::{Kernel, Precision, Scale, View, ViewMut, matmul, product};
use crate::cpu::processor::{Bf16Kernel, F32Kernel};

/// What `f32` sums may be off by, relative to the sum of magnitudes: a few roundings for each of at most 100 terms.
const TOLERANCE: f64 = 1e-5;

/// A matrix somewhere in memory.
#[derive(Clone, Debug)]
struct Place {
    offset: usize,
    /// Elements between the end of a row (or column) and the beginning of the next.
    gap: usize,
    column_major: bool,
    /// Distance of neighbours in a row (or column).
    step: usize,
}

impl Place {
    fn strides(&self, rows: usize, columns: usize) -> [usize; 2] {
        if self.column_major {
            [self.step, rows * self.step + self.gap]
        } else {
            [columns * self.step + self.gap, self.step]
        }
    }

    fn length(&self, rows: usize, columns: usize) -> usize {
        let [row_stride, column_stride] = self.strides(rows, columns);
        self.offset + rows * row_stride + columns * column_stride + 1
    }

    fn view<'a>(&self, data: &'a [f32], rows: usize, columns: usize) -> View<'a> {
        let [row_stride, column_stride] = self.strides(rows, columns);
        View::strided(&data[self.offset..], rows, columns, row_stride, column_stride)
    }
}

fn place() -> impl Strategy<Value = Place> {
    let step = prop_oneof![3 => Just(1), 1 => Just(2)];
    (0..5_usize, prop_oneof![Just(0), 1..40_usize], any::<bool>(), step)
        .prop_map(|(offset, gap, column_major, step)| Place { offset, gap, column_major, step })
}

#[derive(Clone, Debug)]
struct Case {
    shape: [usize; 3],
    places: [Place; 3],
    alpha: f32,
    accumulate: bool,
    bias: bool,
    here: bool,
    seed: u32,
}

fn case(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    (
        prop::array::uniform3(sizes),
        prop::array::uniform3(place()),
        prop_oneof![Just(1.0_f32), Just(0.125), Just(-0.7)],
        any::<[bool; 3]>(),
        any::<u32>(),
    )
        .prop_map(|(shape, places, alpha, [accumulate, bias, here], seed)| Case {
            shape,
            places,
            alpha,
            accumulate,
            bias,
            here,
            seed,
        })
}

/// Numbers in `[-1, 1)` by xorshift.
pub(super) fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) << 20 | 0x9e37;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// To bfloat16 and back, to nearest with ties to even.
fn round(number: f32) -> f32 {
    let bits = number.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// All that this processor can multiply two factors by, whether it is the fastest or not, and tiles by the emulator. Says what is
/// skipped.
pub(super) fn kernels(a: View, b: View) -> Vec<Kernel> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    super::amx::emulator::is_ready();
    let f32 = [F32Kernel::Avx512, F32Kernel::Avx2, F32Kernel::Gemm].map(Kernel::F32);
    let bf16 = [Bf16Kernel::Amx, Bf16Kernel::Avx512].map(Kernel::Bf16);
    let (mut supported, others): (Vec<_>, Vec<_>) =
        f32.into_iter().chain(bf16).partition(|kernel| kernel.is_supported());
    if !others.is_empty() {
        eprintln!("skipped, since this processor has no instructions for them: {others:?}");
    }
    #[cfg(target_arch = "x86_64")]
    if super::dots::suit(a, b) {
        supported.push(Kernel::Dots);
    }
    supported
}

/// `a b` on the threads of the current pool.
fn multiply(out: ViewMut, a: View, b: View, kernel: Kernel) {
    product(out, a, b, Scale { alpha: 1.0, accumulate: false, bias: None }, kernel, true);
}

/// Checks all elements in and around the output.
fn check_all(case: &Case) {
    let [m, k, n] = case.shape;
    let [a_place, b_place, _] = &case.places;
    let (a, b) = (numbers(a_place.length(m, k), case.seed), numbers(b_place.length(k, n), case.seed ^ 1));
    let (a, b) = (a_place.view(&a, m, k), b_place.view(&b, k, n));
    for kernel in kernels(a, b) {
        check(case, a, b, kernel);
    }
}

/// [`check_all`] of one kernel.
fn check(case: &Case, a: View, b: View, kernel: Kernel) {
    let [m, k, n] = case.shape;
    let out_place = &case.places[2];
    let bias = numbers(n, case.seed ^ 2);
    let before = numbers(out_place.length(m, n), case.seed ^ 3);
    let bias = case.bias.then_some(&bias[..]);

    let mut out = before.clone();
    let [row_stride, column_stride] = out_place.strides(m, n);
    let target = ViewMut::strided(&mut out[out_place.offset..], m, n, row_stride, column_stride);
    let scale = Scale { alpha: case.alpha, accumulate: case.accumulate, bias };
    product(target, a, b, scale, kernel, !case.here);

    let factor = |number: f32| f64::from(if matches!(kernel, Kernel::Bf16(_)) { round(number) } else { number });
    let mut expected: Vec<f64> = before.iter().map(|&number| f64::from(number)).collect();
    for i in 0..m {
        for j in 0..n {
            let products = (0..k).map(|p| factor(a.from(i, p)[0]) * factor(b.from(p, j)[0]));
            let (sum, size) = products.fold((0.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
            let place = out_place.offset + i * row_stride + j * column_stride;
            let old = if case.accumulate { f64::from(before[place]) } else { 0.0 };
            let sum = old + f64::from(case.alpha) * sum + bias.map_or(0.0, |bias| f64::from(bias[j]));
            let error = (f64::from(out[place]) - sum).abs();
            assert!(error <= TOLERANCE * size, "({i}, {j}): {} instead of {sum} by {kernel:?} in {case:?}", out[place]);
            expected[place] = f64::from(out[place]);
        }
    }
    let untouched = out.iter().zip(&expected).all(|(&found, &expected)| f64::from(found) == expected);
    assert!(untouched, "an element outside of the output changed by {kernel:?} in {case:?}");
}

proptest! {
    #[test]
    fn equals_the_sum_in_f64(case in case(0..70)) {
        check_all(&case);
    }
}

const PLAIN: Place = Place { offset: 0, gap: 0, column_major: false, step: 1 };
const TRANSPOSED: Place = Place { column_major: true, ..PLAIN };

/// Shapes beyond one chunk of `k`, one block of panels and one packing of the smaller factor, and few rows.
#[test]
fn large_products_equal_the_sum_in_f64() {
    let shapes = [
        [12, 400, 33],
        [7, 140, 50],
        [150, 2100, 70],
        [40, 2100, 300],
        [1, 3000, 1],
        [13, 1025, 33],
        [300, 5, 500],
        [1100, 600, 130],
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        for places in [[PLAIN, PLAIN, PLAIN], [PLAIN, TRANSPOSED, PLAIN], [TRANSPOSED, PLAIN, TRANSPOSED]] {
            let [accumulate, bias] = [number % 2 == 0, number % 3 == 0];
            let case = Case { shape, places, alpha: 0.5, accumulate, bias, here: false, seed: number as u32 };
            check_all(&case);
        }
    }
}

/// A row of a forward product keeps its bits whatever other rows there are, by kernels that pack panels.
#[test]
fn rows_do_not_depend_on_other_rows() {
    let [m, k, n] = [61, 1100, 75];
    let (a, b) = (numbers(m * k, 1), numbers(n * k, 2));
    let b = View::row_major(&b, n, k).transposed();
    for kernel in [F32Kernel::Avx512, F32Kernel::Avx2].into_iter().filter(|kernel| kernel.is_supported()) {
        let bits = |rows: std::ops::Range<usize>| {
            let mut out = vec![f32::NAN; rows.len() * n];
            let a = View::row_major(&a, m, k).part(rows.clone(), 0..k);
            multiply(ViewMut::row_major(&mut out, rows.len(), n), a, b, Kernel::F32(kernel));
            out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let all = bits(0..m);
        for rows in [0..1, 1..3, 3..6, 6..10, 10..15, 15..21, 21..28, 28..36, 36..50, 0..m - 1] {
            assert!(bits(rows.clone()) == all[rows.start * n..rows.end * n], "rows {rows:?} by {kernel:?}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    // Forward, both gradients, little output for a long `k`, several pieces, and few rows or columns.
    let shapes = [
        ([400, 130, 300], false, true),
        ([400, 300, 130], false, false),
        ([130, 2300, 70], true, false),
        ([1300, 60, 600], false, true),
        ([1, 700, 4000], false, true),
        ([3, 700, 1500], false, true),
        ([2500, 700, 2], false, true),
        ([12, 384, 390], false, true),
        ([31, 1540, 50], false, true),
    ];
    for (seed, ([m, k, n], a_transposed, b_transposed)) in shapes.into_iter().enumerate() {
        let a = numbers(m * k, seed as u32);
        let b = numbers(k * n, !seed as u32);
        let a = if a_transposed { View::row_major(&a, k, m).transposed() } else { View::row_major(&a, m, k) };
        let b = if b_transposed { View::row_major(&b, n, k).transposed() } else { View::row_major(&b, k, n) };
        for kernel in kernels(a, b) {
            let scale = Scale { alpha: 0.3, accumulate: false, bias: None };
            let bits = |threads: Option<usize>| {
                let mut out = vec![f32::NAN; m * n];
                let target = ViewMut::row_major(&mut out, m, n);
                match threads {
                    Some(threads) => ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .expect("threads")
                        .install(|| product(target, a, b, scale, kernel, true)),
                    None => product(target, a, b, scale, kernel, false),
                }
                out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            };
            let here = bits(None);
            for threads in [1, 2, 3, 8, 8] {
                assert!(bits(Some(threads)) == here, "other bits with {threads} threads, {kernel:?}");
            }
        }
    }
}

/// The smaller factor of the whole is packed in two goes, that of a part in one.
#[test]
fn a_part_of_a_bf16_product_is_the_product_of_parts() {
    let kernel = Kernel::Bf16(Bf16Kernel::Avx512);
    if !Bf16Kernel::Avx512.is_supported() {
        return;
    }
    let [m, k, n] = [100, 40_000, 99];
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let (a, b) = (View::row_major(&a, m, k), View::row_major(&b, k, n));
    let [mut whole, mut parts] = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
    multiply(ViewMut::row_major(&mut whole, m, n), a, b, kernel);
    for columns in [0..30, 30..n] {
        let part = ViewMut::strided(&mut parts[columns.start..], m, columns.len(), n, 1);
        multiply(part, a, b.part(0..k, columns), kernel);
    }
    assert!(whole == parts);
}

#[test]
fn nan_and_infinity_meet_zeros() {
    let [m, k, n] = [14, 40, 35];
    let numbers = vec![0.0; m * k + k * n];
    for kernel in kernels(View::row_major(&numbers, m, k), View::row_major(&numbers, k, n)) {
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut a = vec![0.0; m * k];
            a[2 * k + 33] = special;
            let mut out = vec![1.0; m * n];
            let zeros = vec![0.0; k * n];
            let (a, b) = (View::row_major(&a, m, k), View::row_major(&zeros, k, n));
            multiply(ViewMut::row_major(&mut out, m, n), a, b, kernel);
            for (index, number) in out.iter().enumerate() {
                assert!(
                    if index / n == 2 { number.is_nan() } else { *number == 0.0 },
                    "{special} at {index}: {number}"
                );
            }
            let ones = vec![1.0; k * n];
            let b = View::row_major(&ones, k, n);
            multiply(ViewMut::row_major(&mut out, m, n), a, b, kernel);
            assert!(out[2 * n] == special || out[2 * n].is_nan() && special.is_nan(), "{special}: {}", out[2 * n]);
        }
    }
}

#[test]
fn without_terms_the_output_is_the_bias_or_zero() {
    let (a, b) = (View::row_major(&[], 3, 0), View::row_major(&[], 0, 2));
    for kernel in kernels(a, b) {
        let mut out = [7.0; 6];
        multiply(ViewMut::row_major(&mut out, 3, 2), a, b, kernel);
        assert_eq!(out, [0.0; 6]);
        let scale = Scale { alpha: 2.0, accumulate: true, bias: Some(&[1.0, 2.0]) };
        product(ViewMut::row_major(&mut out, 3, 2), a, b, scale, kernel, true);
        assert_eq!(out, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    }
}

#[test]
#[should_panic(expected = "does not fit into 5 elements")]
fn a_view_beyond_its_memory_is_refused() {
    View::strided(&[0.0; 5], 2, 3, 3, 1);
}

#[test]
#[should_panic(expected = "two elements of an output at one place")]
fn an_output_that_overlaps_itself_is_refused() {
    ViewMut::strided(&mut [0.0; 5], 2, 3, 2, 1);
}

#[test]
#[should_panic(expected = "[2, 3] x [2, 2] does not give [2, 2]")]
fn shapes_that_do_not_fit_are_refused() {
    let numbers = [0.0; 6];
    let (a, b) = (View::row_major(&numbers, 2, 3), View::row_major(&numbers, 2, 2));
    matmul(ViewMut::row_major(&mut [0.0; 4], 2, 2), a, b, 1.0, false, None, Precision::F32);
}

/// Sums of small integers have no roundings, in any order.
#[test]
fn sums_of_small_integers_are_exact() {
    let [m, k, n] = [67, 531, 45];
    let integers = |length, seed| -> Vec<f32> { numbers(length, seed).iter().map(|x| (x * 8.0).floor()).collect() };
    let (a, b) = (integers(m * k, 1), integers(k * n, 2));
    let expected: Vec<f32> = (0..m * n).map(|at| (0..k).map(|p| a[at / n * k + p] * b[p * n + at % n]).sum()).collect();
    let (a, b) = (View::row_major(&a, m, k), View::row_major(&b, k, n));
    for kernel in kernels(a, b) {
        let mut out = vec![f32::NAN; m * n];
        multiply(ViewMut::row_major(&mut out, m, n), a, b, kernel);
        assert!(out == expected, "{kernel:?}");
    }
}

/// What the instructions leave behind would change what another task of the thread computes, and is saved with each thread.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn tiles_are_released_after_a_product() {
    use super::amx::emulator;
    if !emulator::is_ready() {
        return;
    }
    let (a, b) = (vec![1.0; 40 * 50], vec![1.0; 50 * 60]);
    let (a, b) = (View::row_major(&a, 40, 50), View::row_major(&b, 50, 60));
    multiply(ViewMut::row_major(&mut [0.0; 40 * 60], 40, 60), a, b, Kernel::Bf16(Bf16Kernel::Amx));
    assert!(!emulator::is_configured());
    assert!(rayon::broadcast(|_| emulator::is_configured()).into_iter().all(|configured| !configured));
}
