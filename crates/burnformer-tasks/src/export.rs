//! Model folders for other programs.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::Pooling;
use burnformer_models::weights::WeightType;

use crate::encode::{check_vocabulary, max_length};
use crate::sentence_transformers::{CrossEncoder, Modules};
use crate::{TaskError, TranslationTokenizers};

/// Layout of an exported folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportLayout {
    /// A folder of transformers, with the class of the model.
    #[default]
    Transformers,
    /// A folder of sentence-transformers: the body, pooling and normalisation.
    SentenceTransformers {
        /// Pooling of the token vectors; `None` is as in the folder.
        pooling: Option<Pooling>,
        /// `true` L2-normalises the embeddings; `None` is as in the folder.
        normalized: Option<bool>,
    },
}

impl ExportLayout {
    /// The layout of the model in `folder`.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        // What cannot be read is said where it is read.
        let is_cross_encoder = matches!(CrossEncoder::of(folder), Ok(Some(_)));
        match Modules::are_in(folder) && !is_cross_encoder {
            true => Self::SentenceTransformers { pooling: None, normalized: None },
            false => Self::Transformers,
        }
    }
}

/// Writes the model in `folder` and its tokenizer into the folder `out`, which exists, for other programs.
///
/// # Errors
/// If the folder holds no model with its tokenizer, none of Hugging Face's classes fits, or something cannot be written.
pub fn export(
    folder: &Path,
    out: &Path,
    layout: ExportLayout,
    weight_type: WeightType,
    device: &Device,
) -> Result<(), TaskError> {
    let from = &Modules::transformer_in(folder)?;
    let tokenizers = TranslationTokenizers::load(from)?;
    let size = match layout {
        ExportLayout::Transformers => {
            let size = burnformer_models::export(from, out, weight_type, device)?;
            if let Some(cross_encoder) = CrossEncoder::of(folder)? {
                cross_encoder.write(out)?;
            }
            size
        }
        ExportLayout::SentenceTransformers { pooling, normalized } => {
            let mut modules = Modules::of(folder)?;
            let size = burnformer_models::export_body(from, out, weight_type, device)?;
            modules.pooling.modes = pooling.map_or(modules.pooling.modes, |pooling| vec![pooling]);
            modules.check(size.d_model)?;
            let dense = modules.steps.load(device)?;
            if let Some(normalized) = normalized {
                modules = modules.with_normalization(normalized);
            }
            let longest = || max_length(tokenizers.source(), size.max_seq_length);
            modules.text.max_length = Some(modules.text.max_length.unwrap_or_else(longest));
            modules.write(size.d_model, &dense, weight_type, out)?;
            size
        }
    };
    check_vocabulary(tokenizers.source(), size.vocab_size)?;
    check_vocabulary(tokenizers.target(), size.target_vocab_size.unwrap_or(size.vocab_size))?;
    tokenizers.save(out, max_length(tokenizers.source(), size.max_seq_length))
}
