//! Similarity of embeddings.

/// Similarity of two vectors: the greater, the more similar.
///
/// Source: `SimilarityFunction` of sentence-transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Similarity {
    /// Cosine of the angle, in `[-1, 1]`.
    #[default]
    Cosine,
    /// Dot product.
    Dot,
    /// Euclidean distance, negative.
    Euclidean,
    /// Sum of the distances in all dimensions, negative.
    Manhattan,
}

impl Similarity {
    /// All similarities.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::Euclidean, Self::Manhattan];

    /// Name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclidean => "euclidean",
            Self::Manhattan => "manhattan",
        }
    }

    /// The similarity with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The similarity of two vectors.
    ///
    /// # Panics
    /// If one is longer than the other.
    #[must_use]
    pub fn of(self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "similarity: vectors of one length");
        let distances = || a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b));
        match self {
            Self::Cosine => cosine_similarity(a, b),
            Self::Dot => dot(a, b),
            Self::Euclidean => -distances().map(|it| it * it).sum::<f64>().sqrt(),
            Self::Manhattan => -distances().map(f64::abs).sum::<f64>(),
        }
    }
}

/// The cosine of the angle between two vectors, in `[-1, 1]`; 0 if one of them is zero.
///
/// # Panics
/// If one is longer than the other.
#[must_use]
pub fn cosine_similarity(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "cosine_similarity: vectors of one length");
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { (dot(a, b) / norms).clamp(-1.0, 1.0) }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_greatest_for_what_is_most_alike() {
        let (a, b) = ([3.0, 4.0], [0.0, 8.0]);
        let found = Similarity::ALL.map(|it| it.of(&a, &b));
        assert_eq!(found, [0.8, 32.0, -5.0, -7.0]);
        for it in Similarity::ALL {
            assert_eq!(Similarity::named(it.name()), Some(it));
        }
        assert_eq!(Similarity::named("maxsim"), None);
    }
}
