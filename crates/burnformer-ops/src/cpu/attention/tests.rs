//! The kernels against the definition in double precision, for each set of vector instructions that this processor has.

use super::product::{Factor, Rows, product};
use super::{Attention, Blocked, Gradients, Inputs};
use crate::Dropout;
use crate::cpu::Vectors;
use crate::cpu::dropout::Multipliers;
use burnformer_core::random::DropoutRng;

/// Numbers in [-1, 1) that do not repeat soon.
fn numbers(seed: u32, len: usize) -> Vec<f32> {
    let number = |i: usize| (i as u32 ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B) >> 8;
    (0..len).map(|i| number(i).wrapping_mul(0x00C2_B2AF) as f32 / 2.0_f32.powi(31) - 1.0).collect()
}

/// Whether sums have the bits of a chain of fused multiply-adds.
fn is_fused(vectors: Vectors) -> bool {
    !matches!(vectors, Vectors::Baseline) || cfg!(target_arch = "aarch64")
}

#[test]
fn products_are_sums_in_the_order_of_the_terms() {
    for vectors in Vectors::all() {
        for (m, k, n) in
            [(1, 1, 16), (2, 5, 32), (3, 0, 16), (5, 7, 48), (7, 16, 64), (13, 3, 80), (24, 33, 96), (47, 17, 112)]
        {
            for transposed in [false, true] {
                let (row, term) = if transposed { (1, m + 3) } else { (k + 3, 1) };
                let a = numbers(1, (m + 3) * (k + 3));
                let b = numbers(2, (k + 1) * (n + 5));
                let before = numbers(3, (m + 1) * (n + 7));
                for accumulate in [false, true] {
                    let mut out = before.clone();
                    let (left, right) = (Factor { data: &a, row, term }, Rows { data: &b, stride: n + 5 });
                    product(vectors, &mut out, n + 7, left, right, [m, k, n], accumulate);
                    for (at, (&found, &before)) in out.iter().zip(&before).enumerate() {
                        let (i, j) = (at / (n + 7), at % (n + 7));
                        if i >= m || j >= n {
                            assert_eq!(found, before, "[{m}, {k}, {n}] by {vectors:?} wrote to ({i}, {j})");
                            continue;
                        }
                        let terms = (0..k).map(|t| (a[i * row + t * term], b[t * (n + 5) + j]));
                        let sum = terms.fold(0.0, |sum, (a, b)| a.mul_add(b, sum));
                        let expected = if accumulate { before + sum } else { sum };
                        let allowed = if is_fused(vectors) { 0.0 } else { 1e-5 };
                        assert!(
                            (found - expected).abs() <= allowed,
                            "({i}, {j}) of [{m}, {k}, {n}] by {vectors:?} is {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "the right factor is smaller than [3, 16]")]
fn products_read_nothing_behind_a_factor() {
    let (a, b) = ([0.0; 6], [0.0; 47]);
    let (left, right) = (Factor { data: &a, row: 3, term: 1 }, Rows { data: &b, stride: 16 });
    product(Vectors::widest(), &mut [0.0; 32], 16, left, right, [2, 3, 16], false);
}

#[derive(Clone, Copy, Debug)]
enum MaskKind {
    None,
    Keys,
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    sizes: [usize; 4],
    d_head: usize,
    d_value: usize,
    mask: MaskKind,
    causal: bool,
    dropout: bool,
}

/// What the definition gives, or a kernel.
struct Results {
    out: Vec<f32>,
    logsumexp: Vec<f32>,
    weights: Vec<f32>,
    gradients: Gradients,
    /// Of the weights too.
    gradients_through_weights: Gradients,
}

impl Case {
    /// Runs `test` with a call on random inputs.
    fn with<R>(&self, vectors: Vectors, test: impl FnOnce(&Attention, Inputs) -> R) -> R {
        let [batch_size, n_heads, q_length, kv_length] = self.sizes;
        let [q, k, v] = [(1, q_length, self.d_head), (2, kv_length, self.d_head), (3, kv_length, self.d_value)]
            .map(|(seed, length, width)| numbers(seed, batch_size * length * n_heads * width));
        let is_blocked = |seed, len| numbers(seed, len).into_iter().map(|x| x > 0.3).collect::<Vec<_>>();
        let (mut keys, mut full) =
            (is_blocked(4, batch_size * kv_length), is_blocked(5, batch_size * q_length * kv_length));
        // A sequence with padding, and rows without a key.
        keys[kv_length / 2..kv_length].fill(true);
        keys[(batch_size - 1) * kv_length..].fill(batch_size > 1);
        full[..kv_length].fill(true);
        let samples: Vec<u64> = (0..batch_size as u64).map(|sample| 7 + (sample << 35)).collect();
        let options = Dropout::new(0.25, DropoutRng::training(5, samples)).unwrap();
        let multipliers = || Multipliers::new(&options, &[batch_size, n_heads, q_length, kv_length]).by(vectors);
        let call = Attention {
            batch_size,
            n_heads,
            q_length,
            kv_length,
            d_head: self.d_head,
            d_value: self.d_value,
            scale: 1.7,
            causal: self.causal,
            blocked: match self.mask {
                MaskKind::None => Blocked::None,
                MaskKind::Keys => Blocked::Keys(&keys),
                MaskKind::Full => Blocked::Full(&full),
            },
            dropout: self.dropout.then(multipliers),
            vectors,
        };
        test(&call, Inputs { q: &q, k: &k, v: &v })
    }

    /// The gradients of output and weights.
    fn cotangents(&self) -> [Vec<f32>; 2] {
        let [batch_size, n_heads, q_length, kv_length] = self.sizes;
        [(6, self.d_value), (7, kv_length)].map(|(seed, n)| numbers(seed, batch_size * n_heads * q_length * n))
    }

    fn found(&self, vectors: Vectors) -> Results {
        let [dout, dweights] = self.cotangents();
        self.with(vectors, |call, inputs| {
            let (out, logsumexp) = call.forward(inputs);
            let (again, weights) = call.forward_with_weights(inputs);
            near(&format!("{self:?}: output with weights"), &again, &out, 2e-6);
            let gradients = call.backward(inputs, &out, &logsumexp, &dout);
            let gradients_through_weights =
                call.backward_through_weights(inputs, &weights, Some(&dout), Some(&dweights));
            Results { out, logsumexp, weights, gradients, gradients_through_weights }
        })
    }

    fn expected(&self) -> Results {
        let [dout, dweights] = self.cotangents();
        self.with(Vectors::Baseline, |call, inputs| definition(call, inputs, &dout, &dweights))
    }

    fn check(&self) {
        let expected = self.expected();
        for vectors in Vectors::all() {
            let found = self.found(vectors);
            let near = |name: &str, found: &[f32], expected: &[f32]| {
                near(&format!("{self:?} by {vectors:?}: {name}"), found, expected, 2e-5);
            };
            near("out", &found.out, &expected.out);
            near("logsumexp", &found.logsumexp, &expected.logsumexp);
            near("weights", &found.weights, &expected.weights);
            for (name, found, expected) in [
                ("gradient", &found.gradients, &expected.gradients),
                ("gradient through weights", &found.gradients_through_weights, &expected.gradients_through_weights),
            ] {
                near(&format!("{name} of q"), &found.q, &expected.q);
                near(&format!("{name} of k"), &found.k, &expected.k);
                near(&format!("{name} of v"), &found.v, &expected.v);
            }
        }
    }
}

#[track_caller]
fn near(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let is_near = found == expected || (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(is_near, "{name}: element {at} is {found}, not {expected}");
    }
}

/// The formulas, row by row in double precision.
fn definition(call: &Attention, inputs: Inputs, dout: &[f32], dweights: &[f32]) -> Results {
    let Attention { batch_size, n_heads, q_length, kv_length, d_head, d_value, .. } = *call;
    let mut out = vec![0.0; batch_size * q_length * n_heads * d_value];
    let (mut logsumexp, mut all_weights) = (Vec::new(), Vec::new());
    let [dq, dk, dv] = [inputs.q, inputs.k, inputs.v].map(|x| vec![0.0; x.len()]);
    let mut gradients = [[dq, dk, dv], [inputs.q, inputs.k, inputs.v].map(|x| vec![0.0; x.len()])];
    for index in 0..batch_size * n_heads {
        let head = call.head(index);
        let row = |x: &[f32], position, length, width| {
            let at = call.at(head, position, length) * width;
            (at..at + width).zip(x[at..at + width].iter().map(|&x| f64::from(x))).collect::<Vec<_>>()
        };
        let dot = |x: &[(usize, f64)], y: &[(usize, f64)]| x.iter().zip(y).map(|(x, y)| x.1 * y.1).sum::<f64>();
        for position in 0..q_length {
            let q = row(inputs.q, position, q_length, d_head);
            let dout = row(dout, position, q_length, d_value);
            let is_blocked = |key| {
                let blocked = match call.blocked {
                    Blocked::None => false,
                    Blocked::Keys(keys) => keys[head.batch * kv_length + key],
                    Blocked::Full(full) => full[(head.batch * q_length + position) * kv_length + key],
                };
                blocked || call.causal && key + q_length > position + kv_length
            };
            let score = |key| {
                let score = f64::from(call.scale) * dot(&q, &row(inputs.k, key, kv_length, d_head));
                if is_blocked(key) { f64::NEG_INFINITY } else { score }
            };
            let scores: Vec<f64> = (0..kv_length).map(score).collect();
            let maximum = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(-1e30);
            let sum: f64 = scores.iter().map(|score| (score - maximum).exp()).sum();
            let divisor = if sum == 0.0 { 1.0 } else { sum };
            let weights: Vec<f64> = scores.iter().map(|score| (score - maximum).exp() / divisor).collect();
            logsumexp.push((maximum + sum.ln()) as f32);
            all_weights.extend(weights.iter().map(|&weight| weight as f32));
            let mut multipliers = vec![1.0; kv_length];
            if let Some(dropout) = &call.dropout {
                dropout.fill(head.batch, head.head, position, 0, &mut multipliers);
            }
            let first = (index * q_length + position) * kv_length;
            // Gradients of the weights before dropout: without and with those that come from them as an output.
            let of_weights = |with: f64, key: usize| {
                let through_out = dot(&dout, &row(inputs.v, key, kv_length, d_value)) * f64::from(multipliers[key]);
                through_out + with * f64::from(dweights[first + key])
            };
            for (gradients, with) in gradients.iter_mut().zip([0.0, 1.0]) {
                let mean: f64 = weights.iter().enumerate().map(|(key, weight)| weight * of_weights(with, key)).sum();
                for (key, weight) in weights.iter().enumerate() {
                    let dscore = weight * (of_weights(with, key) - mean) * f64::from(call.scale);
                    let k = row(inputs.k, key, kv_length, d_head);
                    for ((q_at, q), (k_at, k)) in q.iter().zip(&k) {
                        gradients[0][*q_at] += dscore * k;
                        gradients[1][*k_at] += dscore * q;
                    }
                    for ((v_at, v), (out_at, dout)) in row(inputs.v, key, kv_length, d_value).iter().zip(&dout) {
                        let weight = weight * f64::from(multipliers[key]);
                        gradients[2][*v_at] += weight * dout;
                        out[*out_at] += (1.0 - with) * weight * v;
                    }
                }
            }
        }
    }
    let single = |x: Vec<f64>| x.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let [gradients, gradients_through_weights] =
        gradients.map(|[q, k, v]| Gradients { q: single(q), k: single(k), v: single(v) });
    Results { out: single(out), logsumexp, weights: all_weights, gradients, gradients_through_weights }
}

/// Lengths and widths around those of tiles, registers and lines.
#[test]
fn attention_is_the_definition_at_odd_sizes() {
    use MaskKind::{Full, Keys, None};
    for (sizes, d_head, d_value, mask, causal, dropout) in [
        ([1, 1, 1, 1], 1, 1, None, false, false),
        ([2, 3, 1, 19], 16, 16, Keys, false, false),
        ([2, 2, 3, 33], 33, 32, Full, true, true),
        ([2, 1, 2, 5], 7, 9, Keys, true, false),
        ([3, 2, 4, 17], 16, 15, Keys, true, true),
        ([2, 2, 23, 31], 17, 48, Full, false, true),
        ([1, 3, 25, 16], 64, 65, None, true, false),
        ([2, 1, 49, 100], 31, 80, Keys, false, true),
        ([1, 1, 60, 257], 8, 5, Full, true, true),
        ([1, 2, 97, 520], 5, 8, Keys, true, true),
        ([1, 1, 515, 260], 3, 4, None, true, false),
        ([1, 1, 530, 530], 2, 3, None, true, true),
        ([17, 1, 5, 300], 4, 3, Keys, false, true),
    ] {
        Case { sizes, d_head, d_value, mask, causal, dropout }.check();
    }
}

/// Sums have one order, whatever the registers.
#[test]
fn all_fused_kernels_have_the_same_bits() {
    let case =
        Case { sizes: [2, 2, 50, 300], d_head: 40, d_value: 24, mask: MaskKind::Keys, causal: true, dropout: true };
    let bits = |vectors| {
        let Results { out, logsumexp, weights, gradients, .. } = case.found(vectors);
        [out, logsumexp, weights, gradients.q, gradients.k, gradients.v]
            .map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let mut all = Vectors::all().into_iter().filter(|vectors| is_fused(*vectors)).map(bits);
    if let Some(first) = all.next() {
        assert!(all.all(|other| other == first));
    }
}

/// How heads and queries are shared among threads changes no bit, nor do the other sequences of the batch.
#[test]
fn outputs_have_the_same_bits_with_any_number_of_threads() {
    for q_length in [1, 300] {
        let case = |batch_size| Case {
            sizes: [batch_size, 5, q_length, 800],
            d_head: 24,
            d_value: 40,
            mask: MaskKind::None,
            causal: true,
            dropout: false,
        };
        for vectors in Vectors::all() {
            // The method itself is not general enough in its lifetimes.
            #[allow(clippy::redundant_closure_for_method_calls)]
            let run = |n_threads, batch_size| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| case(batch_size).with(vectors, |call, inputs| call.forward(inputs)))
            };
            let alone = run(1, 4);
            for n_threads in [2, 3, 8] {
                assert!(run(n_threads, 4) == alone, "{n_threads} threads by {vectors:?}");
            }
            let (first, _) = run(2, 1);
            assert_eq!(alone.0[..first.len()], first);
        }
    }
}

/// Padding changes no bit of what comes before it, whatever is in it.
#[test]
fn blocked_keys_at_the_end_take_no_part() {
    for q_length in [1, 30] {
        for vectors in Vectors::all() {
            let (n_heads, kv_length, longer, d) = (2, 70, 270, 24);
            let q = numbers(1, q_length * n_heads * d);
            let [mut k, mut v] = [2, 3].map(|seed| numbers(seed, kv_length * n_heads * d));
            let run = |k: &[f32], v: &[f32], kv_length, blocked: &[bool]| {
                let call = Attention {
                    batch_size: 1,
                    n_heads,
                    q_length,
                    kv_length,
                    d_head: d,
                    d_value: d,
                    scale: 0.3,
                    causal: false,
                    blocked: Blocked::Keys(blocked),
                    dropout: None,
                    vectors,
                };
                let inputs = Inputs { q: &q, k, v };
                let (out, logsumexp) = call.forward(inputs);
                let gradients = call.backward(inputs, &out, &logsumexp, &q);
                (out, logsumexp, gradients)
            };
            let (out, logsumexp, gradients) = run(&k, &v, kv_length, &vec![false; kv_length]);
            let padding = longer * n_heads * d;
            k.resize(padding, f32::NAN);
            v.resize(padding, f32::INFINITY);
            let blocked: Vec<bool> = (0..longer).map(|key| key >= kv_length).collect();
            let (padded_out, padded_logsumexp, padded_gradients) = run(&k, &v, longer, &blocked);
            assert_eq!((padded_out, padded_logsumexp), (out, logsumexp), "{q_length} queries by {vectors:?}");
            assert_eq!(padded_gradients.q, gradients.q);
            for (padded, short) in [(padded_gradients.k, gradients.k), (padded_gradients.v, gradients.v)] {
                assert_eq!(padded[..short.len()], short);
                assert!(padded[short.len()..].iter().all(|x| *x == 0.0));
            }
        }
    }
}

/// What is not a number in a key reaches every query that sees it, and nothing else.
#[test]
fn not_a_number_spreads_as_in_the_formula() {
    for (q_length, vectors) in
        [1, 40].into_iter().flat_map(|n| Vectors::all().into_iter().map(move |vectors| (n, vectors)))
    {
        let (n_heads, kv_length, d) = (2, 50, 16);
        let [q, mut k, v] = [q_length, kv_length, kv_length].map(|length| numbers(1, length * n_heads * d));
        k[(45 * n_heads + 1) * d + 3] = f32::NAN;
        let call = Attention {
            batch_size: 1,
            n_heads,
            q_length,
            kv_length,
            d_head: d,
            d_value: d,
            scale: 0.25,
            causal: true,
            blocked: Blocked::None,
            dropout: None,
            vectors,
        };
        let (out, _) = call.forward(Inputs { q: &q, k: &k, v: &v });
        for (row, out) in out.chunks_exact(d).enumerate() {
            let (position, head) = (row / n_heads, row % n_heads);
            let sees = head == 1 && position + kv_length >= 45 + q_length;
            assert!(out.iter().all(|x| x.is_nan() == sees), "head {head}, query {position} by {vectors:?}: {out:?}");
        }
    }
}
