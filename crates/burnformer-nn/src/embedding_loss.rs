//! Losses of text embeddings, as sentence-transformers has them.

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor, TensorData};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, CrossEntropyOptions};

/// Embeddings of a batch of pairs of texts.
#[derive(Clone, Debug)]
pub struct PairEmbeddings<'a> {
    /// Embeddings of the first texts, `[n, d]`.
    pub texts: Tensor<2>,
    /// Embeddings of the second texts, `[n, d]`.
    pub pairs: Tensor<2>,
    /// Embeddings of the negatives of all pairs, pair by pair, `[n_negatives, d]`.
    pub negatives: Option<Tensor<2>>,
    /// Number of negatives of each pair; empty without negatives.
    pub n_negatives: &'a [usize],
    /// Score of each pair, `[n]`.
    pub scores: Option<Tensor<1>>,
}

/// Loss of the embeddings of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EmbeddingLoss {
    /// Cross entropy of each second text among the second texts and negatives of the whole batch:
    /// `-ln softmax(scale · cos(text_i, ·))_i`.
    ///
    /// Source: Henderson et al. 2017, section 4.4.
    MultipleNegatives {
        /// Factor of the cosines: 1 / temperature.
        scale: f64,
    },
    /// `ln(1 + Σ exp(scale · (cos_j - cos_i)))` over all pairs i and j of the batch with `score_i > score_j`.
    ///
    /// Source: Jianlin Su 2022, "`CoSENT`".
    Cosent {
        /// Factor of the cosines.
        scale: f64,
    },
    /// Squared difference of cosine and score.
    ///
    /// Source: Reimers and Gurevych 2019, section 3.
    Cosine,
    /// `max(0, |text - pair| - |text - negative| + margin)` of Euclidean distances, the mean over the negatives of a pair.
    ///
    /// Source: Reimers and Gurevych 2019, section 3.
    Triplet {
        /// By how much a negative is to be farther away.
        margin: f64,
    },
    /// Half of `d²` for a score of 1 and of `max(0, margin - d)²` for a score of 0, where `d = 1 - cos`.
    ///
    /// Source: Hadsell et al. 2006, section 2.1, with the distance of sentence-transformers.
    Contrastive {
        /// Distance from which on different texts are different enough.
        margin: f64,
    },
}

/// What PyTorch's `pairwise_distance` adds to differences.
const DISTANCE_EPS: f64 = 1e-6;
/// Least product of norms in PyTorch's `cosine_similarity`.
const COSINE_EPS: f64 = 1e-8;

impl EmbeddingLoss {
    /// Name of the loss.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MultipleNegatives { .. } => "multiple negatives",
            Self::Cosent { .. } => "CoSENT",
            Self::Cosine => "cosine",
            Self::Triplet { .. } => "triplet",
            Self::Contrastive { .. } => "contrastive",
        }
    }

    /// `true` if other texts of the batch are the negatives of a pair, so that no text may be in it twice.
    #[must_use]
    pub fn compares_whole_batch(&self) -> bool {
        matches!(self, Self::MultipleNegatives { .. })
    }

    /// The mean loss of the batch, `[1]`.
    ///
    /// # Panics
    /// If the shapes do not fit, or scores or negatives are missing that the loss needs.
    pub fn forward(&self, embeddings: PairEmbeddings<'_>) -> Tensor<1> {
        let PairEmbeddings { texts, pairs, negatives, n_negatives, scores } = embeddings;
        let ([n, _], [n_pairs, _]) = (texts.dims(), pairs.dims());
        assert_eq!(n, n_pairs, "embedding loss: as many first texts as second ones");
        let scores = || scores.expect("embedding loss: a score for each pair");
        match *self {
            Self::MultipleNegatives { scale } => {
                let candidates = negatives.map_or(pairs.clone(), |negatives| Tensor::cat(vec![pairs, negatives], 0));
                let logits = unit(texts).matmul(unit(candidates).transpose()) * scale;
                let own = Tensor::<1, Int>::arange(0..n as i64, &logits.device());
                ops::cross_entropy(logits, own, CrossEntropyOptions::default()).0 / n as f64
            }
            Self::Cosent { scale } => cosent(cosines(texts, pairs) * scale, scores()),
            Self::Cosine => (cosines(texts, pairs) - scores()).square().mean(),
            Self::Triplet { margin } => {
                let negatives = negatives.expect("embedding loss: negatives");
                triplet(texts, pairs, negatives, n_negatives, margin)
            }
            Self::Contrastive { margin } => {
                let (distances, scores) = (cosines(texts, pairs).neg() + 1.0, scores());
                let alike = scores.clone() * distances.clone().square();
                let different = (scores.neg() + 1.0) * relu(distances.neg() + margin).square();
                (alike + different).mean() * 0.5
            }
        }
    }
}

impl Validate for EmbeddingLoss {
    fn validate(&self) -> Result<(), ConfigError> {
        match *self {
            Self::MultipleNegatives { scale } | Self::Cosent { scale } => {
                ConfigError::check_finite_positive("scale", scale)
            }
            Self::Triplet { margin } | Self::Contrastive { margin } => {
                ConfigError::check_finite_positive("margin", margin)
            }
            Self::Cosine => Ok(()),
        }
    }
}

/// The rows, L2-normalised; zeros stay zeros.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let norms = x.clone().square().sum_dim(1).clamp_min(COSINE_EPS * COSINE_EPS).sqrt();
    x / norms
}

/// The cosine of each pair of rows, `[n]`.
///
/// # Shapes
/// - a, b: `[n, d]`
#[must_use]
pub fn cosines(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [n, _] = a.dims();
    (unit(a) * unit(b)).sum_dim(1).reshape([n])
}

fn cosent(cosines: Tensor<1>, scores: Tensor<1>) -> Tensor<1> {
    let [n] = cosines.dims();
    let differences = |x: Tensor<1>| x.clone().reshape([n, 1]).expand([n, n]) - x.reshape([1, n]).expand([n, n]);
    // Those of pairs i and j that are in the right order, or equal.
    let counts_not = differences(scores).greater_equal_elem(0.0);
    let terms = differences(cosines).mask_fill(counts_not.clone(), f32::NEG_INFINITY);
    // The greatest exponent, at least that of the one; a constant for the gradient.
    let greatest = terms.clone().detach().max().clamp_min(0.0);
    let terms = (terms.mask_fill(counts_not.clone(), 0.0) - greatest.clone().reshape([1, 1]).expand([n, n])).exp();
    let sum = terms.mask_fill(counts_not, 0.0).sum() + greatest.clone().neg().exp();
    sum.log() + greatest
}

fn triplet(texts: Tensor<2>, pairs: Tensor<2>, negatives: Tensor<2>, n_negatives: &[usize], margin: f64) -> Tensor<1> {
    let device = texts.device();
    let rows = n_negatives.iter().enumerate().flat_map(|(row, &n)| std::iter::repeat_n(row as i32, n));
    let rows: Vec<i32> = rows.collect();
    let weights: Vec<f32> = n_negatives.iter().flat_map(|&n| std::iter::repeat_n(1.0 / n as f32, n)).collect();
    let n = [rows.len()];
    assert_eq!(negatives.dims()[0], n[0], "embedding loss: the negatives of all pairs");
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, n), &device);
    let weights = Tensor::<1>::from_data(TensorData::new(weights, n), &device);
    let near = distances(texts.clone(), pairs).select(0, rows.clone());
    let far = distances(texts.select(0, rows), negatives);
    (relu(near - far + margin) * weights).sum() / n_negatives.len() as f64
}

/// Euclidean distances of the rows, `[n]`.
fn distances(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [n, _] = a.dims();
    (a - b + DISTANCE_EPS).square().sum_dim(1).sqrt().reshape([n])
}
