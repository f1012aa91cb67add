//! Model folders for other programs.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::Pooling;
use burnformer_models::weights::WeightType;

use crate::encode::{check_vocabulary, max_length};
use crate::sentence_transformers::Modules;
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
    let modules = Modules::of(folder)?;
    let from = &modules.transformer.clone();
    let size = match layout {
        ExportLayout::Transformers => burnformer_models::export(from, out, weight_type, device)?,
        ExportLayout::SentenceTransformers { pooling, normalized } => {
            let size = burnformer_models::export_body(from, out, weight_type, device)?;
            let modules = Modules {
                pooling: pooling.unwrap_or(modules.pooling),
                normalized: normalized.unwrap_or(modules.normalized),
                max_length: Some(modules.max_length.unwrap_or(size.max_seq_length)),
                ..modules
            };
            modules.write(size.d_model, out)?;
            size
        }
    };
    let tokenizers = TranslationTokenizers::load(from)?;
    check_vocabulary(tokenizers.source(), size.vocab_size)?;
    check_vocabulary(tokenizers.target(), size.target_vocab_size.unwrap_or(size.vocab_size))?;
    tokenizers.save(out, max_length(tokenizers.source(), size.max_seq_length))
}
