//! BERT and its variants, with every head.

use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::Device;
use burnformer_models::weights::WeightType;
use burnformer_models::{
    Bert, BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertVariant, Head,
    ModelClass, Pretrained, export, export_body,
};
use burnformer_ops::DeviceChoice;

use crate::answer::{self, Outputs, loss, random};
use crate::material::{Batch, Material};

/// Writes a model of every class, named after it.
pub(crate) fn make(models: &Path) -> Result<()> {
    let device = DeviceChoice::Auto.open()?;
    let Material { config, labels, .. } = Material::read();
    let folder = |head: Head, variant: BertVariant, more: &str| {
        let class = ModelClass::new(variant.architecture(), head).expect("a class of BERT");
        answer::folder(models, &format!("{class}{more}"))
    };
    for variant in BertVariant::ALL {
        let n_segments = match variant {
            BertVariant::Bert => config.n_segments,
            BertVariant::Roberta | BertVariant::XlmRoberta | BertVariant::Camembert => 1,
            BertVariant::DistilBert => 0,
        };
        let config = BertConfig { variant, n_segments, ..config.clone() };
        let untied = BertConfig { tied_embeddings: false, ..config.clone() };
        let masked_lm = |config| random(BertForMaskedLM::new(config, &device));
        let tied_folder = folder(Head::MaskedLm, variant, "")?;
        masked_lm(&config).save(&tied_folder)?;
        export_body(&tied_folder, &folder(Head::Body, variant, "")?, WeightType::F32, &device)?;
        masked_lm(&untied).save(&folder(Head::MaskedLm, variant, "-untied")?)?;
        let classifier = random(BertForSequenceClassification::new(&config, &labels, &device));
        classifier.save(&folder(Head::SequenceClassification, variant, "")?)?;
        if variant == BertVariant::Bert {
            let model = random(BertForPreTraining::new(&config, &device));
            let whole = folder(Head::PreTraining, variant, "")?;
            model.save(&whole)?;
            export(&whole, &folder(Head::PreTraining, variant, "-f16")?, WeightType::F16, &device)?;
            export_body(&whole, &folder(Head::Body, variant, "-pooler")?, WeightType::F32, &device)?;
        }
    }
    Ok(())
}

/// Writes what the model in `folder` answers.
pub(crate) fn answer(head: Head, folder: &Path, file: &Path, device: &Device) -> Result<()> {
    let Material { batch, .. } = Material::read();
    match head {
        Head::Body => {
            let model = Bert::load(folder, device)?;
            let config = model.config().clone();
            let name_of = |path: &str| name(&config, &format!("bert.{path}"));
            // No body has a loss of its own: the first features of the first token are trained to be a classifier.
            let forward = |model: &Bert| {
                let hidden = model.forward(batch.input(device));
                let loss = loss(hidden.narrow(1, 0, 1).squeeze_dim(1), batch.classes(device));
                with_body(Outputs::new(loss), model, &batch, device)
            };
            answer::write(model, name_of, forward, file)
        }
        Head::PreTraining => {
            let model = BertForPreTraining::load(folder, device)?;
            let config = model.config().clone();
            let forward = |model: &BertForPreTraining| {
                let logits = model.forward(batch.input(device), batch.masked(device));
                let outputs = Outputs::new(
                    loss(logits.mlm.clone(), batch.targets(device))
                        + loss(logits.next_sentence.clone(), batch.next_sentence(device)),
                );
                let outputs =
                    outputs.with("logits.mlm", &logits.mlm).with("logits.next_sentence", &logits.next_sentence);
                with_body(outputs, model.bert(), &batch, device)
            };
            answer::write(model, |path| name(&config, path), forward, file)
        }
        Head::MaskedLm => {
            let model = BertForMaskedLM::load(folder, device)?;
            let config = model.config().clone();
            let forward = |model: &BertForMaskedLM| {
                let logits = model.forward(batch.input(device), batch.masked(device));
                let outputs = Outputs::new(loss(logits.clone(), batch.targets(device))).with("logits", &logits);
                with_body(outputs, model.bert(), &batch, device)
            };
            answer::write(model, |path| name(&config, path), forward, file)
        }
        Head::SequenceClassification => {
            let model = BertForSequenceClassification::load(folder, device)?;
            let config = model.config().clone();
            let forward = |model: &BertForSequenceClassification| {
                let logits = model.forward(batch.input(device));
                let outputs = Outputs::new(loss(logits.clone(), batch.classes(device))).with("logits", &logits);
                with_body(outputs, model.bert(), &batch, device)
            };
            answer::write(model, |path| name(&config, path), forward, file)
        }
        head => bail!("a model for {} is not known here", head.task()),
    }
}

/// The name that transformers has for the parameter at `path`: an output layer of its own brings a bias, which is the one
/// that is added and trained.
fn name(config: &BertConfig, path: &str) -> String {
    let is_second = path == "mlm.bias" && !config.tied_embeddings;
    config.variant.weight_name(if is_second { "mlm.decoder.bias" } else { path })
}

fn with_body(outputs: Outputs, bert: &Bert, batch: &Batch, device: &Device) -> Outputs {
    let (hidden, attn_weights) = bert.forward_with_attn_weights(batch.input(device));
    let layers = bert.hidden_states(batch.input(device));
    outputs.with("hidden", &hidden).with_layers("hidden", &layers).with_layers("attn", &attn_weights)
}
