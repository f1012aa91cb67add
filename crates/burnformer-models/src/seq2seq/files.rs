//! Saving and loading the files of an encoder–decoder.

use super::names::{LOGITS_BIAS, OUTPUT, SHARED, SINUSOIDS};
use super::{Seq2Seq, Seq2SeqConfig};
use crate::folder::{GENERATION_CONFIG, WEIGHTS, config_file};
use crate::hf::{ConfigJson, pretty};
use crate::weights::{self, Weights};
use crate::{GenerationFile, ModelError};
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::atomic_write_bytes;
use burnformer_nn::NormOrder;
use std::path::Path;

pub(super) fn save(model: &Seq2Seq, folder: &Path) -> Result<(), ModelError> {
    let config = &model.config;
    let size = config.target_vocab_size;
    let bias = match &model.logits_bias {
        Some(bias) => bias.clone().reshape([1, size as i32]).try_into_data()?,
        None => TensorData::zeros::<f32, _>([1, size]),
    };
    let mut extra = vec![(LOGITS_BIAS.to_owned(), bias)];
    if config.norm_order == NormOrder::Pre && config.is_sinusoidal() {
        // Pegasus misses them, Marian does not.
        let table = model.sinusoids.as_ref().map(|it| it.forward(0, config.max_seq_length).squeeze_dim::<2>(0));
        let table = table.map(Tensor::try_into_data).transpose()?;
        extra.extend(SINUSOIDS.iter().filter_map(|name| Some(((*name).to_owned(), table.clone()?))));
    }
    let name = |path: &str| config.weight_name(path);
    weights::save(model, name, extra, &folder.join(WEIGHTS))?;
    atomic_write_bytes(&folder.join(GENERATION_CONFIG), pretty(model.generation.settings()))?;
    Ok(atomic_write_bytes(&config_file(folder), config.to_json())?)
}

pub(super) fn load(folder: &Path, device: &Device) -> Result<Seq2Seq, ModelError> {
    let json = ConfigJson::read(folder)?;
    let config = Seq2SeqConfig::read(&json, folder)?;
    let generation = GenerationFile::read(folder, &json, &config.generation_settings())?;
    let start_id = generation.start()?.unwrap_or(config.decoder_start_id);
    generation.check_start(start_id, config.target_vocab_size)?;
    let mut file = Weights::in_folder(folder)?;
    let names = file.names();
    // Layers that the file cannot fill are not even counted out, so that no number in `config.json` is believed.
    if config.n_encoder_layers.max(config.n_decoder_layers) > names.len() {
        let layer = config.n_encoder_layers.max(config.n_decoder_layers) - 1;
        return Err(file.missing(&format!("model.encoder.layers.{layer}.self_attn.q_proj.weight")));
    }
    let has = |name: &str| names.iter().any(|found| found == name);
    check_width(&file, &config)?;
    // All names of one table, the first of which is read and the others must equal.
    let target = if config.shared_embeddings { SHARED.as_slice() } else { &SHARED[2..] };
    let output = config.tied_embeddings.then_some(OUTPUT);
    let one: Vec<&str> = target.iter().copied().chain(output).filter(|name| has(name)).collect();
    let name_of = |path: &str| {
        let name = config.weight_name(path);
        let is_table = name == target[0];
        if is_table { one.first().map_or(name, |first| (*first).to_owned()) } else { name }
    };
    let ignore = |name: &str| {
        name == LOGITS_BIAS || one.contains(&name) || (config.is_sinusoidal() && SINUSOIDS.contains(&name))
    };
    let mut model = file.fill(Seq2Seq::new(&config, device), |path| Some(name_of(path)), ignore)?;
    one.iter().skip(1).try_for_each(|second| file.expect_tied(second, one[0]))?;
    if let Some(sinusoids) = &model.sinusoids {
        let expected = sinusoids.forward(0, config.max_seq_length).squeeze_dim::<2>(0).try_into_data()?;
        SINUSOIDS.iter().filter(|name| has(name)).try_for_each(|name| expect_sinusoids(&mut file, name, &expected))?;
    }
    if let Some(found) = file.shape(LOGITS_BIAS) {
        let (found, expected) = (found.to_vec(), vec![1, config.target_vocab_size]);
        if found != expected {
            return Err(file.wrong_shape(LOGITS_BIAS, found, expected));
        }
        let bias = file.read_logits_bias(LOGITS_BIAS)?;
        let values: Vec<f32> = bias.iter::<f32>().collect();
        model.set_logits_bias(TensorData::new(values, [config.target_vocab_size]), device);
    }
    (model.generation, model.start_id) = (generation, start_id);
    Ok(model)
}

/// Refuses a width other than that of the stored embeddings. Positions are computed before all shapes are compared, and
/// must not take any size that `config.json` asks for.
fn check_width(file: &Weights, config: &Seq2SeqConfig) -> Result<(), ModelError> {
    let shape = |name: &'static str| Some((name, file.shape(name)?.to_vec()));
    let Some((name, found)) = SHARED.into_iter().chain([OUTPUT]).find_map(shape) else {
        return Err(file.missing(SHARED[0]));
    };
    if found.last() == Some(&config.d_model) {
        return Ok(());
    }
    let vocab_size = if name == SHARED[1] { config.source_vocab_size } else { config.target_vocab_size };
    Err(file.wrong_shape(name, found, vec![vocab_size, config.d_model]))
}

/// Refuses a stored table of positions that differs from the computed one by more than half precision's rounding.
fn expect_sinusoids(file: &mut Weights, name: &str, expected: &TensorData) -> Result<(), ModelError> {
    let found = file.read(name)?;
    let is_near = |(x, y): (f32, f32)| (x - y).abs() <= 5e-3;
    if found.shape() == expected.shape() && found.iter::<f32>().zip(expected.iter::<f32>()).all(is_near) {
        return Ok(());
    }
    Err(file.no_sinusoids(name))
}
