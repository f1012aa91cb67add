//! Whole Transformer models with their heads, and their folders: `config.json` and `model.safetensors` as transformers
//! writes and reads them.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burnformer_models::{BertConfig, BertForPreTraining, BertInput};
//! use burnformer_ops::DeviceChoice;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let device = DeviceChoice::Auto.open()?;
//! let (pad_id, mask_id) = (0, 4);
//! let config = BertConfig { d_model: 32, d_ff: 64, ..BertConfig::preset("bert-tiny", 100, pad_id).unwrap() };
//! let model = BertForPreTraining::init(&config, 42, &device);
//!
//! // Two sequences of three tokens; the last of the first one is to be filled in.
//! let ids = Tensor::<2, Int>::from_data([[7, 8, mask_id], [9, 10, 11]], &device);
//! let logits = model.forward(BertInput::new(ids.clone()), Tensor::from_data([2], &device));
//! assert_eq!(logits.mlm.dims(), [1, 100]);
//! let token = logits.mlm.argmax(1).into_data();
//!
//! // A folder that transformers reads too.
//! model.save(&config, folder)?;
//! let (again, _) = BertForPreTraining::load(folder, &device)?;
//! let logits = again.forward(BertInput::new(ids), Tensor::from_data([2], &device));
//! assert_eq!(logits.mlm.argmax(1).into_data(), token);
//! # Ok(())
//! # }
//! ```

mod bert;
mod error;
mod export;
mod folder;
mod generation;
mod pooling;
mod seq2seq;
pub mod stats;
pub mod weights;

pub use bert::{
    Adapted, Bert, BertConfig, BertEmbeddings, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification,
    BertInput, BertPooler, BertVariant, MaskedTokenHead, PretrainingLogits,
};
pub use error::ModelError;
pub use export::{export, export_body};
pub use folder::ModelKind;
pub use generation::{GenerationConfig, GenerationInput, Hypothesis, Sampling};
pub use pooling::{Pooling, normalize};
pub use seq2seq::{PositionKind, Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Vocabularies};
