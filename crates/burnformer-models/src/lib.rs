//! Whole Transformer models with their heads, and their folders: `config.json` and `model.safetensors` as transformers
//! writes and reads them.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burnformer_models::{BertConfig, BertForPreTraining, BertInput, Pretrained};
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
//! model.save(folder)?;
//! let again = BertForPreTraining::load(folder, &device)?;
//! let logits = again.forward(BertInput::new(ids), Tensor::from_data([2], &device));
//! assert_eq!(logits.mlm.argmax(1).into_data(), token);
//! # Ok(())
//! # }
//! ```

mod activation;
mod adapter;
mod bert;
mod class;
mod cut;
mod error;
mod export;
mod folder;
mod generation;
mod gpt;
mod heads;
mod hf;
mod limits;
mod memory;
mod pooling;
mod pretrained;
mod projection;
pub mod registry;
mod seq2seq;
mod staged;
pub mod stats;
pub mod weights;

pub use activation::OutputActivation;
pub use adapter::{
    ADAPTER_WEIGHTS as ADAPTER_WEIGHTS_FILE, Adapter, AdapterBias, AdapterConfig, SharedBase, Targets, with_adapter,
};
pub use bert::{Bert, BertConfig, BertEmbeddings, BertInput, BertVariant};
pub use class::{Architecture, Head, ModelClass};
pub use cut::CutError;
pub use error::ModelError;
pub use export::{export, export_body};
pub use folder::WEIGHTS as WEIGHTS_FILE;
pub use generation::{
    Convention, DecoderSpec, GenerationConfig, GenerationFile, GenerationInput, Hypothesis, Sampling, StepCache,
    StepDecoder, TokenRules, generate,
};
pub use gpt::{Gpt, GptConfig, GptForCausalLM, GptInput, GptTokens};
pub use heads::{
    BertForMaskedLM, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertModel, BertPooler, MaskedTokenHead, Outputs, PretrainingLogits,
};
pub use memory::{MicroBatchSize, Passes, StepFloats};
pub use pooling::{Pooling, normalize};
pub use pretrained::{Loaded, ModelConfig, ModelSize, Pretrained};
pub use projection::Projection;
pub use seq2seq::{PositionKind, Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Vocabularies};
pub use staged::{MaskedLmLayers, Staged, Use, staged};
