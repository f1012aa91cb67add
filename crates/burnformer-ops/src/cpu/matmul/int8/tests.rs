//! Every kernel that this processor has, against the definition in integers of 64 bits.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use super::weights::Weights;
use super::{Rows, product_by};
use crate::cpu::matmul::{View, ViewMut};
use crate::cpu::processor::Int8Kernel;

const KERNELS: [Int8Kernel; 5] =
    [Int8Kernel::Amx, Int8Kernel::Avx512Vnni, Int8Kernel::AvxVnni, Int8Kernel::Avx2, Int8Kernel::Portable];

/// Those with which the tests run here.
fn kernels() -> Vec<Int8Kernel> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    crate::cpu::matmul::amx::emulator::is_ready();
    let (here, missing): (Vec<_>, Vec<_>) = KERNELS.into_iter().partition(|kernel| kernel.is_supported());
    if !missing.is_empty() {
        eprintln!("skipped {missing:?}: this processor lacks their instructions");
    }
    here
}

/// Numbers in `[-1, 1)` by xorshift.
fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) << 20 | 0x9e37;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// Integers and scale of a row as the paper defines them: the greatest magnitude is 127.
fn rounded(x: &[f32], scale: f32) -> Vec<i64> {
    x.iter().map(|x| if scale > 0.0 { (x / scale).round_ties_even() as i64 } else { 0 }).collect()
}

fn greatest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |greatest, x| x.abs().max(greatest))
}

/// The scale of a channel: 16 binary digits, rounded up.
fn channel_scale(weight: &[f32]) -> f32 {
    let scale = f64::from(greatest(weight) / 127.0);
    if scale == 0.0 {
        return 0.0;
    }
    let unit = 2.0_f64.powi(scale.log2().floor() as i32 - 15);
    ((scale / unit).ceil() * unit) as f32
}

/// The product as its definition says, of rows whose quotients are not so near to the middle of two integers that the
/// definition's division and the kernel's multiplication differ.
fn expected(x: &[f32], weight: &[f32], bias: Option<&[f32]>, [n, d_in, d_out]: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::new();
    for row in 0..n {
        let x = &x[row * d_in..][..d_in];
        let scale = greatest(x) / 127.0;
        let reciprocal = if scale > 0.0 { 127.0 / greatest(x) } else { 0.0 };
        let integers: Vec<i64> = x.iter().map(|x| (x * reciprocal).round_ties_even() as i64).collect();
        for channel in 0..d_out {
            let weight = &weight[channel * d_in..][..d_in];
            let weight_scale = channel_scale(weight);
            let sum: i64 = rounded(weight, weight_scale).iter().zip(&integers).map(|(a, b)| a * b).sum();
            out.push(sum as f32 * scale * weight_scale + bias.map_or(0.0, |bias| bias[channel]));
        }
    }
    out
}

/// The product by a kernel, in an output whose rows are `gap` elements apart, which must stay as they were.
fn product(
    kernel: Int8Kernel,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    [n, d_in, d_out]: [usize; 3],
    gap: usize,
) -> Vec<f32> {
    let weights = Weights::quantize(weight, [d_out, d_in]).unwrap();
    let rows = Rows::quantize(View::row_major(x, n, d_in));
    let mut out = vec![7.0; n * (d_out + gap)];
    product_by(kernel, ViewMut::strided(&mut out, n, d_out, d_out + gap, 1), &rows, &weights, bias);
    if d_out + gap == 0 {
        return out;
    }
    let rows = out.chunks_exact(d_out + gap);
    assert!(rows.clone().all(|row| row[d_out..].iter().all(|x| *x == 7.0)), "{kernel:?} wrote outside of the output");
    rows.flat_map(|row| row[..d_out].to_vec()).collect()
}

proptest! {
    #[test]
    fn every_kernel_equals_the_definition_bit_by_bit(
        n in 0..40_usize,
        d_in in 0..150_usize,
        d_out in 0..80_usize,
        gap in 0..3_usize,
        has_bias: bool,
        seed: u32,
    ) {
        let shape = [n, d_in, d_out];
        let (x, weight, bias) = (numbers(n * d_in, seed), numbers(d_out * d_in, seed ^ 1), numbers(d_out, seed ^ 2));
        let bias = has_bias.then_some(&bias[..]);
        let expected = expected(&x, &weight, bias, shape);
        for kernel in kernels() {
            prop_assert_eq!(&product(kernel, &x, &weight, bias, shape, gap), &expected, "{:?}", kernel);
        }
    }
}

/// Every height of a tile and all widths around that of a panel, and several blocks of rows.
#[test]
fn every_size_of_tile_equals_the_definition() {
    let shapes = (1..=26).map(|n| [n, 67, 33]).chain((1..=66).map(|d_out| [5, 64, d_out]));
    for shape in shapes.chain([[1, 1, 1], [300, 129, 100], [97, 4099, 70], [2, 8192, 31]]) {
        let [n, d_in, d_out] = shape;
        let (x, weight) = (numbers(n * d_in, 3), numbers(d_out * d_in, 4));
        let expected = expected(&x, &weight, None, shape);
        for kernel in kernels() {
            assert_eq!(product(kernel, &x, &weight, None, shape, 1), expected, "{kernel:?} of {shape:?}");
        }
    }
}

/// The greatest sums, where instructions that saturate would be wrong.
#[test]
fn the_greatest_integers_do_not_saturate() {
    for [x_sign, weight_sign] in [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] {
        for shape in [[3, 133_144, 2], [14, 256, 40]] {
            let [n, d_in, d_out] = shape;
            let (x, weight) = (vec![127.0 * x_sign; n * d_in], vec![127.0 * weight_sign; d_out * d_in]);
            let sum = (127.0 * 127.0 * x_sign * weight_sign) as i64 * d_in as i64;
            for kernel in kernels() {
                let out = product(kernel, &x, &weight, None, shape, 0);
                assert!(out.iter().all(|&y| y == sum as f32), "{kernel:?}: {} instead of {sum}", out[0]);
            }
        }
    }
}

#[test]
fn sums_that_might_overflow_are_refused() {
    let error = Weights::quantize(&vec![1.0; 133_145], [1, 133_145]).unwrap_err().to_string();
    assert!(error.contains("133145") && error.contains("133144"), "{error}");
}

#[test]
fn nan_and_infinity_spread_over_their_row_and_their_channel() {
    let shape @ [n, d_in, d_out] = [14, 70, 35];
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for kernel in kernels() {
            let (mut x, mut weight) = (numbers(n * d_in, 5), numbers(d_out * d_in, 6));
            x[2 * d_in + 69] = special;
            x[3 * d_in..4 * d_in].fill(0.0);
            weight[33 * d_in] = special;
            weight[34 * d_in..].fill(0.0);
            for (index, y) in product(kernel, &x, &weight, None, shape, 0).into_iter().enumerate() {
                let (row, channel) = (index / d_out, index % d_out);
                assert_eq!(y.is_nan(), row == 2 || channel == 33, "{kernel:?}: {special} at {row}, {channel}: {y}");
                assert!(y.is_nan() || (y == 0.0) == (row == 3 || channel == 34), "{kernel:?} at {row}, {channel}: {y}");
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_on_other_rows() {
    for shape @ [n, d_in, d_out] in [[400, 130, 300], [3, 700, 3000], [1, 512, 9000], [37, 256, 1024]] {
        let (x, weight, bias) = (numbers(n * d_in, 7), numbers(d_out * d_in, 8), numbers(d_out, 9));
        for kernel in kernels() {
            let alone = |row: usize| {
                let x = &x[row * d_in..][..d_in];
                product(kernel, x, &weight, Some(&bias), [1, d_in, d_out], 0)
            };
            let whole = product(kernel, &x, &weight, Some(&bias), shape, 0);
            for row in [0, n / 2, n - 1] {
                assert!(alone(row) == whole[row * d_out..][..d_out], "{kernel:?}: row {row} by itself is another");
            }
            for threads in [1, 2, 3, 8] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let there = pool.install(|| product(kernel, &x, &weight, Some(&bias), shape, 0));
                assert!(there == whole, "{kernel:?}: other bits with {threads} threads");
            }
        }
    }
}

/// The error of rounding: half of a step of the activations and of the weights for each term, all in the same direction.
#[test]
fn products_are_near_those_of_what_was_rounded() {
    let shape @ [n, d_in, d_out] = [9, 333, 65];
    let (x, weight) = (numbers(n * d_in, 10), numbers(d_out * d_in, 11));
    let out = product(Int8Kernel::Portable, &x, &weight, None, shape, 0);
    for (index, y) in out.into_iter().enumerate() {
        let (x, weight) = (&x[index / d_out * d_in..][..d_in], &weight[index % d_out * d_in..][..d_in]);
        let exact: f64 = x.iter().zip(weight).map(|(x, weight)| f64::from(*x) * f64::from(*weight)).sum();
        let steps = f64::from(greatest(x) + greatest(weight)) / 254.0 + 1e-4;
        assert!((f64::from(y) - exact).abs() <= steps * d_in as f64, "{y} instead of {exact}");
        // Errors of both signs: much less than that.
        assert!((f64::from(y) - exact).abs() <= steps * 4.0 * (d_in as f64).sqrt(), "{y} instead of {exact}");
    }
}

#[test]
#[should_panic(expected = "[2, 3] x [4, 5] does not give [2, 5]")]
fn shapes_that_do_not_fit_are_refused() {
    let weights = Weights::quantize(&[0.0; 20], [5, 4]).unwrap();
    let rows = Rows::quantize(View::row_major(&[0.0; 6], 2, 3));
    product_by(Int8Kernel::Portable, ViewMut::row_major(&mut [0.0; 10], 2, 5), &rows, &weights, None);
}
