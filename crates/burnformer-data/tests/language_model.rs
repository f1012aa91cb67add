//! Windows for language models with a tokenizer like that of GPT-2: one special token, which begins and ends texts, and none
//! for padding.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{BatchConfig, BatchSize, Batches, Padding, WindowBatch, WindowCollator};
use burnformer_data::corpus::{CorpusBuilder, Tokenization};
use burnformer_data::datasets::{Dataset, LanguageModelConfig, LanguageModelDataset};
use burnformer_data::readers::{Format, Input, TextLayout};
use burnformer_data::sentences::SentenceSplitter;
use burnformer_data::source::Source;
use burnformer_data::tokenizer::{Specials, Tokenizer};
use serde_json::{Value, json};

const END: u32 = 0;

/// The tokens of `fixtures/byte_level` with `<|endoftext|>` in place of all special ones.
fn like_gpt2(folder: &Path) -> Tokenizer {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/byte_level/tokenizer.json");
    let text = fs::read_to_string(file).unwrap().replace("\"<s>\"", "\"<|endoftext|>\"");
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["added_tokens"].as_array_mut().unwrap().truncate(1);
    let bytes = |add_prefix_space: bool| json!({ "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": false, "use_regex": true });
    (json["pre_tokenizer"], json["post_processor"]) = (bytes(false), bytes(true));
    fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
    let config = r#"{ "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>" }"#;
    fs::write(folder.join("tokenizer_config.json"), config).unwrap();
    Tokenizer::load(folder).unwrap()
}

#[test]
fn one_special_token_begins_and_ends_documents_and_is_padding() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = like_gpt2(folder.path());
    let specials = Specials { pad_id: None, unk_id: Some(END), bos_id: Some(END), eos_id: Some(END), mask_id: None };
    assert_eq!(tokenizer.specials(), &specials);
    // The name of the special token in a text is text.
    let texts = ["the keeper counted <|endoftext|> ships", "letters", "the tower and the letters in the tower"];
    fs::write(folder.path().join("a.txt"), texts.join("\n\n")).unwrap();
    let format = Format::Text { layout: TextLayout::BlankLines };
    let input = Input::new(vec![folder.path().join("a.txt").display().to_string()], format);
    let source: Arc<dyn Source> = Arc::new(input.open().unwrap());
    let sentences = SentenceSplitter::whole();
    let tokenization = Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences };
    let builder = CorpusBuilder::new(source, tokenization);
    let corpus = builder.build(&folder.path().join("corpus"), &Silent, &Interrupt::new()).unwrap().corpus;

    let config = LanguageModelConfig { max_seq_length: 8 };
    let samples = LanguageModelDataset::new(Arc::new(corpus), &[0, 1, 2], &tokenizer, &config, 1).unwrap();
    let samples = Arc::new(samples);
    let predicted: usize = texts.iter().map(|text| tokenizer.encode(text).unwrap().len() + 1).sum();
    let collator = WindowCollator { padding: Padding { pad_id: END, multiple_of: 1 } };
    let config = BatchConfig { size: BatchSize::Sequences(3), ..BatchConfig::default() };
    let batches = Batches::epoch(Arc::clone(&samples), &collator, &config, 1).unwrap();
    let batches: Vec<WindowBatch> = batches.collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.iter().map(|batch| batch.numbers.len() as u64).sum::<u64>(), samples.per_epoch());
    let mut n_ends = 0;
    for batch in &batches {
        assert_eq!(batch.inputs.lengths, batch.targets.lengths);
        for row in 0..batch.numbers.len() {
            let length = batch.inputs.lengths[row];
            let of = |ids: &[u32]| ids[row * batch.inputs.seq_length..][..batch.inputs.seq_length].to_vec();
            let (inputs, targets) = (of(&batch.inputs.ids), of(&batch.targets.ids));
            assert_eq!(inputs[1..length], targets[..length - 1]);
            assert!(inputs[length..].iter().chain(&targets[length..]).all(|&id| id == END));
            n_ends += targets[..length].iter().filter(|&&id| id == END).count();
        }
    }
    // Each token of a text, and its end, is predicted once; padding is not.
    assert_eq!(batches.iter().flat_map(|batch| &batch.targets.lengths).sum::<usize>(), predicted);
    assert_eq!(n_ends, texts.len());
}
