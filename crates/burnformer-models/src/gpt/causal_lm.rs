//! The causal language model: logits of the next token behind each position, files, and generation.

use super::names::{NAMES, OUTPUT, PREFIX, TOKEN, is_mask};
use super::{Gpt, GptConfig, GptInput};
use crate::folder::{GENERATION_CONFIG, WEIGHTS, config_file};
use crate::hf::{ConfigJson, pretty};
use crate::weights::{self, Place, Weights};
use crate::{Architecture, DecoderSpec, GenerationFile, Head, ModelClass, ModelError, Pretrained, StepDecoder};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_core::atomic_write_bytes;
use burnformer_nn::pipeline::of_last;
use burnformer_nn::{DecoderCache, Embedding, EmbeddingConfig, all_tokens, init};
use std::borrow::Cow;
use std::path::Path;

/// Ends of the paths of weights that write into the residual stream.
const RESIDUAL: [&str; 2] = ["attention.output.weight", "feed_forward.linear_out.weight"];
/// Default number of generated tokens.
const DEFAULT_MAX_LENGTH: usize = 50;

/// GPT-2 with its output layer, which is the table of the token embeddings unless the settings say otherwise.
///
/// ```
/// use burnformer_models::{GenerationConfig, GenerationInput, GptConfig, GptForCausalLM, GptTokens, generate};
/// use burnformer_ops::DeviceChoice;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = GptTokens { eos_id: Some(0), ..GptTokens::default() };
/// let config = GptConfig::preset("gpt-tiny", 50, tokens).ok_or("no such size")?;
/// let model = GptForCausalLM::init(&config, 42, &DeviceChoice::Auto.open()?);
/// let prompts = [vec![7, 8, 9], vec![10]];
/// let settings = GenerationConfig { max_length: Some(5), ..GenerationConfig::greedy() };
/// let answers = generate(&model, &settings, GenerationInput::new(&prompts))?;
/// assert!(answers[0][0].tokens.len() <= 5);
/// # Ok(())
/// # }
/// ```
///
/// Source: Radford et al. 2019.
#[derive(Module, Debug)]
pub struct GptForCausalLM {
    gpt: Gpt,
    /// `None` where it is the table of the token embeddings.
    output: Option<Embedding>,
    #[module(skip)]
    generation: GenerationFile,
}

impl GptForCausalLM {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &GptConfig, device: &Device) -> Self {
        let output = || EmbeddingConfig::new(config.vocab_size, config.d_model).init(device);
        Self {
            gpt: Gpt::new(config, device),
            output: (!config.tied_embeddings).then(output),
            generation: GenerationFile::own(config.generation_settings()),
        }
    }

    /// A model with initial weights: matrices normal with `init_std`, those that write into the residual stream divided
    /// by the square root of their number.
    ///
    /// Source: Radford et al. 2019, section 2.3, as in transformers.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn init(config: &GptConfig, seed: u64, device: &Device) -> Self {
        let (matrix, residual) = (init::normal(config.init_std), init::normal(config.residual_std()));
        let rule = |path: &str, shape: &[usize]| match RESIDUAL.iter().any(|end| path.ends_with(end)) {
            true => residual(path, shape),
            false => matrix(path, shape),
        };
        init::by_name(Self::new(config, device), seed, rule)
    }

    /// # Shapes
    /// - input: see [`GptInput`]
    /// - returns: logits of the token behind each position, `[batch_size, seq_length, vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: GptInput) -> Tensor<3> {
        self.logits(self.gpt.forward(input))
    }

    /// The output layer.
    ///
    /// # Shapes
    /// - hidden: `[.., d_model]`
    /// - returns: `[.., vocab_size]`
    ///
    /// # Panics
    /// If the last axis is not `d_model` long.
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        self.output.as_ref().unwrap_or(self.gpt.token()).logits(hidden, None)
    }

    /// The settings of generation in the model's folder.
    pub fn generation_file(&self) -> &GenerationFile {
        &self.generation
    }

    /// The body.
    pub fn gpt(&self) -> &Gpt {
        &self.gpt
    }
}

impl Pretrained for GptForCausalLM {
    type Config = GptConfig;

    const HEAD: Head = Head::CausalLm;
    const ARCHITECTURES: &'static [Architecture] = &[Architecture::Gpt2];

    fn config(&self) -> &GptConfig {
        self.gpt.config()
    }

    fn output_table(&self) -> Option<&'static str> {
        Some(if self.output.is_some() { "output.weight" } else { "gpt.token.weight" })
    }

    /// Reads the files of the first release too, whose names lack `transformer.` and which have causal masks as
    /// weights.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        ModelClass::expect(&[Self::HEAD], Self::ARCHITECTURES, folder)?;
        let json = ConfigJson::read(folder)?;
        let config = GptConfig::read(&json)?;
        let mut file = Weights::in_folder(folder)?;
        let names = file.names();
        let has_prefix = names.iter().any(|name| name.starts_with(PREFIX));
        let named = |name: &str| match has_prefix {
            true => name.to_owned(),
            false => name.strip_prefix(PREFIX).unwrap_or(name).to_owned(),
        };
        let place_of = |path: &str| {
            let place = NAMES.place(path);
            Place { name: named(&place.name), ..place }
        };
        // Layers that the file cannot fill are not even counted out, so that no number in `config.json` is believed.
        if config.n_layers > names.len() {
            let path = format!("gpt.stack.layers.{}.norm_attn.weight", config.n_layers - 1);
            return Err(file.missing(&place_of(&path).name));
        }
        let ignore = |name: &str| is_mask(name) || (config.tied_embeddings && name == OUTPUT);
        let mut model = file.fill(Self::new(&config, device), |path| Some(place_of(path)), ignore)?;
        if config.tied_embeddings {
            file.expect_tied(OUTPUT, &named(TOKEN))?;
        }
        model.generation = GenerationFile::read(folder, &json, &config.generation_settings())?;
        Ok(model)
    }

    /// Beside the files of every model, `generation_config.json` too.
    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        weights::save(self, |path| NAMES.place(path), Vec::new(), &folder.join(WEIGHTS))?;
        atomic_write_bytes(&folder.join(GENERATION_CONFIG), pretty(self.generation.settings()))?;
        Ok(atomic_write_bytes(&config_file(folder), self.config().to_json())?)
    }
}

/// Sources are prompts; a text ends at `eos_id`, and padding is never generated.
impl StepDecoder for GptForCausalLM {
    type Cache = DecoderCache;

    fn spec(&self) -> DecoderSpec {
        let config = self.config();
        let eos_id = config.known(config.tokens.eos_id);
        let pad_id = config.known(config.tokens.pad_id).filter(|_| config.tokens.pad_id != config.tokens.eos_id);
        DecoderSpec {
            source_vocab_size: config.vocab_size,
            max_source_length: config.max_seq_length,
            vocab_size: config.vocab_size,
            max_seq_length: config.max_seq_length,
            eos_id,
            never: pad_id.into_iter().collect(),
        }
    }

    fn device(&self) -> Device {
        self.gpt.token().weight.val().device()
    }

    fn prompt<'a>(&self, source: &'a [u32]) -> Cow<'a, [u32]> {
        source.into()
    }

    fn begin(&self, _sources: &[&[u32]]) -> DecoderCache {
        self.gpt.cache()
    }

    fn step(&self, tokens: Tensor<2, Int>, cache: &mut DecoderCache) -> Tensor<2> {
        let hidden = self.gpt.forward_cached(tokens, cache);
        let ([n_rows, length, _], vocab_size) = (hidden.dims(), self.config().vocab_size);
        of_last([n_rows, vocab_size], &hidden.device(), || {
            let last = hidden.clone().narrow(1, length - 1, 1).squeeze_dim::<2>(1);
            all_tokens(self.logits(last), vocab_size)
        })
    }

    /// 50, whatever the length of the prompt.
    fn default_max_length(&self, _source_length: usize) -> usize {
        DEFAULT_MAX_LENGTH
    }
}
