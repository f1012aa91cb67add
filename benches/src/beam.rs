//! Beam search by an encoder–decoder.

use burn::tensor::Device;
use burnformer_data::batches::parts;
use burnformer_models::{GenerationConfig, GenerationInput, Seq2Seq, Seq2SeqConfig};
use burnformer_ops::{WeightFormat, is_on_host};
use rayon::prelude::*;

use crate::inputs::{prepared, tokens};
use crate::{Size, Work, translation};

/// Texts of a batch, as in translation by the program.
const BATCH_SIZE: usize = 64;

/// What is translated.
#[derive(Clone, Copy)]
struct Texts {
    n_texts: usize,
    /// Tokens of the shortest text, its end among them; the others have up to twelve more.
    shortest: usize,
    /// Tokens of each translation. Random weights know no end, so all have this length.
    target_length: usize,
}

impl Texts {
    const SPREAD: usize = 13;

    fn new(size: Size) -> Self {
        match size {
            Size::Small => Self { n_texts: 3, shortest: 4, target_length: 3 },
            Size::Large => Self { n_texts: 128, shortest: 9, target_length: 15 },
        }
    }

    /// Sorted by length, each with its end.
    fn sources(self, config: &Seq2SeqConfig) -> Vec<Vec<u32>> {
        let mut lengths: Vec<usize> = (0..self.n_texts).map(|text| self.shortest + text % Self::SPREAD).collect();
        lengths.sort_unstable();
        let first = config.eos_id + 1;
        let source = |(text, length): (usize, usize)| {
            let words = tokens(&text.to_string(), length - 1, config.source_vocab_size - first as usize);
            words.into_iter().map(|word| word + first).chain([config.eos_id]).collect()
        };
        lengths.into_iter().enumerate().map(source).collect()
    }
}

/// Translation with four beams. On the processor each thread has a batch of its own, as in translation by the program.
pub(crate) fn search(size: Size, format: WeightFormat) -> Work {
    let (config, texts) = (translation::config(size), Texts::new(size));
    let Texts { n_texts, target_length, .. } = texts;
    let Seq2SeqConfig { n_encoder_layers: n, d_model, n_heads, d_ff, .. } = config;
    let shape = format!("n{n}+{n}-texts{n_texts}-t{target_length}-beams4-d{d_model}-h{n_heads}-ff{d_ff}");
    Work::new("beam", shape, n_texts * target_length, move |device: &Device| {
        let model = prepared(Seq2Seq::init(&config, 0, device), format);
        let sources = texts.sources(&config);
        let lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
        let batches = parts(&lengths, BATCH_SIZE);
        let settings = GenerationConfig {
            n_beams: 4,
            // The step of the end is one more.
            min_length: target_length - 1,
            max_length: Some(target_length - 1),
            ..GenerationConfig::default()
        };
        let is_on_host = is_on_host(device);
        move || {
            let translate = |batch: &std::ops::Range<usize>| {
                let found = model.generate(&settings, GenerationInput::new(&sources[batch.clone()]));
                drop(found.expect("the sources are tokens of the vocabulary"));
            };
            if is_on_host {
                batches.par_iter().for_each(translate);
            } else {
                batches.iter().for_each(translate);
            }
        }
    })
}
