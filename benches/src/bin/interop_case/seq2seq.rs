//! The encoder–decoder, in the classes that transformers has for it.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use burnformer_models::{ModelConfig, Pretrained, Seq2Seq, Seq2SeqConfig, Seq2SeqInput};
use burnformer_nn::{Mask, NormOrder};
use burnformer_ops::DeviceChoice;

use crate::answer::{self, Outputs, loss, random};
use crate::material::Material;

/// Writes a model of every class, named after it.
pub(crate) fn make(models: &Path) -> Result<()> {
    let device = DeviceChoice::Auto.open()?;
    let separate = Material::read().seq2seq;
    let untied = Seq2SeqConfig { tied_embeddings: false, ..separate.clone() };
    let shared =
        Seq2SeqConfig { shared_embeddings: true, target_vocab_size: separate.source_vocab_size, ..separate.clone() };
    let pre_norm = Seq2SeqConfig { norm_order: NormOrder::Pre, ..shared.clone() };
    for (config, more) in [(shared, ""), (separate, "-separate"), (untied, "-untied"), (pre_norm, "")] {
        config.check_hugging_face()?;
        let model = random(Seq2Seq::new(&config, &device));
        model.save(&answer::folder(models, &format!("{}{more}", model.class()))?)?;
    }
    Ok(())
}

/// Writes what the model in `folder` answers.
pub(crate) fn answer(folder: &Path, file: &Path, device: &Device) -> Result<()> {
    let model = Seq2Seq::load(folder, device)?;
    let config = model.config().clone();
    let batch = Material::read().batch;
    let mask = || batch.mask_pad(device);
    let input = || Seq2SeqInput {
        source_mask_pad: Some(mask()),
        ..Seq2SeqInput::new(batch.ids(device), batch.decoder_ids(device))
    };
    let forward = |model: &Seq2Seq| {
        let logits = model.forward(input());
        let rows: Tensor<2> = logits.clone().flatten(0, 1);
        let loss = loss(rows, batch.next_ids(device).flatten(0, 1));
        let (hidden, attn) = model.hidden_with_attn_weights(input());
        Outputs::new(loss)
            .with("logits", &logits)
            .with("hidden.encoder", &model.encode(batch.ids(device), Mask::Keys(mask())))
            .with("hidden.decoder", &hidden)
            .with_layers("attn.encoder", &attn.encoder)
            .with_layers("attn.decoder", &attn.decoder.self_attention)
            .with_layers("attn.cross", &attn.decoder.cross_attention)
    };
    answer::write(model, |path| config.weight_name(path), forward, file)
}
