//! Numbers of ranks that a model can be cut into for tensor parallelism.

use crate::ModelSize;

/// A model that cannot be cut into so many equal parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// Each rank has whole heads, all the same number.
    #[error(
        "the {n_heads} attention heads of the model cannot be shared by {ranks} ranks, choose a divisor of {n_heads}"
    )]
    Heads {
        /// Number of heads.
        n_heads: usize,
        /// Number of ranks.
        ranks: usize,
    },
    /// Each rank has the same number of hidden activations, a multiple of four.
    #[error(
        "the {d_ff} hidden activations of the model's feed-forward layers cannot be shared by {ranks} ranks, choose a number \
         that divides {d_ff} into multiples of 4"
    )]
    FeedForward {
        /// Width of the feed-forward layers.
        d_ff: usize,
        /// Number of ranks.
        ranks: usize,
    },
    /// Each rank has a token at least.
    #[error(
        "the {vocab_size} tokens of the model cannot be shared by {ranks} ranks, choose {vocab_size} ranks or fewer"
    )]
    Tokens {
        /// Number of tokens.
        vocab_size: usize,
        /// Number of ranks.
        ranks: usize,
    },
}

impl ModelSize {
    /// Makes sure that the model can be cut into parts for `ranks` ranks.
    ///
    /// # Errors
    /// [`CutError`] if it cannot.
    pub fn check_cut(&self, ranks: usize) -> Result<(), CutError> {
        let Self { n_heads, d_ff, vocab_size, target_vocab_size, .. } = *self;
        let vocab_size = target_vocab_size.map_or(vocab_size, |target| target.min(vocab_size));
        if ranks == 1 {
            return Ok(());
        }
        if !n_heads.is_multiple_of(ranks) {
            return Err(CutError::Heads { n_heads, ranks });
        }
        // Four columns share a draw of dropout.
        if !d_ff.is_multiple_of(4 * ranks) {
            return Err(CutError::FeedForward { d_ff, ranks });
        }
        if vocab_size < ranks {
            return Err(CutError::Tokens { vocab_size, ranks });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_divide_is_refused_with_a_number_that_does() {
        let size = ModelSize {
            n_encoder_layers: 2,
            n_decoder_layers: 0,
            d_model: 24,
            n_heads: 6,
            d_ff: 40,
            vocab_size: 50,
            target_vocab_size: Some(1),
            max_seq_length: 8,
        };
        assert_eq!(size.check_cut(1), Ok(()));
        assert_eq!(size.check_cut(4), Err(CutError::Heads { n_heads: 6, ranks: 4 }));
        assert_eq!(size.check_cut(3), Err(CutError::FeedForward { d_ff: 40, ranks: 3 }));
        assert_eq!(size.check_cut(2), Err(CutError::Tokens { vocab_size: 1, ranks: 2 }));
        assert_eq!(ModelSize { target_vocab_size: None, ..size }.check_cut(2), Ok(()));
        let error = size.check_cut(4).unwrap_err().to_string();
        assert!(error.ends_with("choose a divisor of 6"), "{error}");
    }
}
