//! Model folders for other programs.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::weights::WeightType;
use burnformer_models::{BertConfig, ModelKind, Pooling, Seq2SeqConfig};

use crate::encode::{check_vocabulary, with_max_length};
use crate::sentence_transformers::Modules;
use crate::{TaskError, TranslationTokenizers};

/// What a folder is exported as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportLayout {
    /// One of transformers, of the class that the model has.
    #[default]
    Transformers,
    /// One of sentence-transformers: the body, with a pooling and perhaps a normalisation as in the folder, unless others are
    /// asked for.
    SentenceTransformers {
        /// How the vectors of tokens become that of a text.
        pooling: Option<Pooling>,
        /// Whether the vectors are made one long.
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
    match layout {
        ExportLayout::Transformers => burnformer_models::export(from, out, weight_type, device)?,
        ExportLayout::SentenceTransformers { pooling, normalized } => {
            let config = BertConfig::load(from)?;
            burnformer_models::export_body(from, out, weight_type, device)?;
            let modules = Modules {
                pooling: pooling.unwrap_or(modules.pooling),
                normalized: normalized.unwrap_or(modules.normalized),
                max_length: Some(modules.max_length.unwrap_or(config.max_seq_length)),
                ..modules
            };
            modules.write(config.d_model, out)?;
        }
    }
    if ModelKind::of(from)? == ModelKind::Seq2Seq {
        let config = Seq2SeqConfig::load(from)?;
        return TranslationTokenizers::load(from)?.save(out, config.max_seq_length);
    }
    let config = BertConfig::load(from)?;
    let tokenizer = Tokenizer::load(from)?;
    check_vocabulary(&tokenizer, config.vocab_size)?;
    Ok(with_max_length(&tokenizer, &config).save(out)?)
}
