//! Prediction of masked tokens.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_data::tokenizer::{Encoded, TokenizerKind};
use burnformer_models::{BertForMaskedLM, Head, Pretrained};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use crate::TaskError;
use crate::encode::{Encode, beginning, expect_head, probabilities};

/// Prediction of masked tokens.
#[derive(Debug)]
pub struct FillMask {
    model: BertForMaskedLM,
    encode: Encode,
    mask_id: u32,
    device: Device,
}

/// A text with the predictions for each of its masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilledText<'a> {
    /// The text.
    pub text: &'a str,
    /// The masks, in order.
    pub masks: Vec<FilledMask>,
}

/// Predictions for one masked token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilledMask {
    /// Index of the token in the text, from 0, `[CLS]` included.
    pub position: usize,
    /// The most probable tokens, the best first.
    pub fills: Vec<Fill>,
}

/// Prediction for a masked token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fill {
    /// The token; for byte-level tokenizers, the text that it stands for.
    pub token: String,
    /// Id of the token.
    pub id: u32,
    /// Probability of the token, in `[0, 1]`.
    pub probability: f64,
    /// The text with this mask filled; other masks stay.
    pub text: String,
}

impl FillMask {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If it holds no masked language model with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        expect_head(folder, &[Head::MaskedLm, Head::PreTraining])?;
        let model = BertForMaskedLM::load(folder, device)?;
        let encode = Encode::load(folder, model.config(), device)?;
        let mask_id = encode.tokenizer.specials().mask_id.ok_or(TaskError::NoToken { role: "mask" })?;
        Ok(Self { model, encode, mask_id, device: device.clone() })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The mask token, to be written in a text.
    #[must_use]
    pub fn mask(&self) -> String {
        self.encode.tokenizer.token(self.mask_id).unwrap_or_default()
    }

    /// The `top_k` most probable tokens for every mask of each text, in order; none for a blank text. Texts are run in batches of
    /// similar length.
    ///
    /// # Errors
    /// [`TaskError::NoMask`] if another text has no mask, [`TaskError::MaskCutOff`] if all masks are in its truncated part.
    pub fn fill(&self, texts: &[&str], top_k: usize) -> Result<Vec<Vec<FilledMask>>, TaskError> {
        let is_blank = |text: &str| text.trim().is_empty();
        let encode = |text: &&str| (!is_blank(text)).then(|| self.encode.text(text, None)).transpose();
        let encoded = self.encode.each(texts, encode, |encoded| encoded.as_ref().is_some_and(|it| it.is_cut))?;
        let has_mask = |encoded: &Encoded| encoded.ids.contains(&self.mask_id);
        let lacks_mask = |(_, encoded): &(&&str, &Option<Encoded>)| encoded.as_ref().is_some_and(|it| !has_mask(it));
        if let Some((text, _)) = texts.iter().zip(&encoded).find(lacks_mask) {
            return Err(self.no_mask(text));
        }
        let asked: Vec<Encoded> = encoded.into_iter().flatten().collect();
        let mut filled = self.fill_encoded(&asked, top_k)?.into_iter();
        let mut answer = |text: &&str| if is_blank(text) { None } else { filled.next() };
        Ok(texts.iter().map(|text| answer(text).unwrap_or_default()).collect())
    }

    fn fill_encoded(&self, texts: &[Encoded], top_k: usize) -> Result<Vec<Vec<FilledMask>>, TaskError> {
        self.encode.in_batches(texts, |rows, input| {
            let [_, seq_length] = input.ids.dims();
            let positions: Vec<Vec<usize>> = rows.iter().map(|row| self.positions(row)).collect();
            let places = positions.iter().enumerate().flat_map(|(row, positions)| {
                positions.iter().map(move |position| (row * seq_length + position) as i32)
            });
            let places: Vec<i32> = places.collect();
            let shape = [places.len()];
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, shape), &self.device);
            let mut rest = probabilities(self.model.forward(input, places))?.into_iter();
            let fill = |(row, positions): (&&Encoded, &Vec<usize>)| {
                let masks = positions.iter().zip(rest.by_ref());
                masks.map(|(&position, probabilities)| self.filled(row, position, &probabilities, top_k)).collect()
            };
            rows.iter().zip(&positions).map(fill).collect()
        })
    }

    /// The error of a text whose tokens have no mask.
    fn no_mask(&self, text: &str) -> TaskError {
        let (is_there, mask, max_length) = (text.contains(&self.mask()), self.mask(), self.encode.max_length);
        let text = beginning(text);
        if is_there { TaskError::MaskCutOff { text, mask, max_length } } else { TaskError::NoMask { text, mask } }
    }

    /// Number of texts so far that were longer than the model can take, and were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.encode.n_cut()
    }

    /// Longest text that the model can take, in tokens, special tokens included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.encode.max_length
    }

    fn positions(&self, encoded: &Encoded) -> Vec<usize> {
        (0..encoded.ids.len()).filter(|&position| encoded.ids[position] == self.mask_id).collect()
    }

    fn filled(
        &self,
        encoded: &Encoded,
        position: usize,
        probabilities: &[f64],
        top_k: usize,
    ) -> Result<FilledMask, TaskError> {
        let mut ids: Vec<usize> = (0..probabilities.len().min(self.encode.tokenizer.vocab_size())).collect();
        ids.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        ids.truncate(top_k);
        let fill = |id: usize| {
            // Without what stands around the text; other masks are special too, and stay.
            let text = (0..).zip(&encoded.ids).zip(&encoded.is_added).filter(|(_, is_added)| !**is_added);
            let text: Vec<u32> = text.map(|((at, &other), _)| if at == position { id as u32 } else { other }).collect();
            let text = self.encode.tokenizer.decode(&text, false)?;
            let token = match self.encode.tokenizer.kind() {
                // Their tokens are bytes in disguise, or have a mark for a blank.
                TokenizerKind::ByteLevelBpe | TokenizerKind::Unigram | TokenizerKind::Bpe => {
                    self.encode.tokenizer.decode(&[id as u32], false)?
                }
                _ => self.encode.tokenizer.token(id as u32).unwrap_or_default(),
            };
            Ok(Fill { token, id: id as u32, probability: probabilities[id], text })
        };
        Ok(FilledMask { position, fills: ids.into_iter().map(fill).collect::<Result<_, TaskError>>()? })
    }
}
