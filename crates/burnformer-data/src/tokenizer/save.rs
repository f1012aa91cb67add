//! Writing a tokenizer, so that Hugging Face's libraries can read it.

use std::fs;
use std::io;
use std::path::Path;

use burnformer_core::files::{FileError, atomic_write_bytes};
use serde_json::{Map, Value};
use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use super::Tokenizer;
use super::load::{CONFIG_FILE, SIDE_KEY, SPLIT_SPECIALS_KEY, TOKENIZER_FILE};
use super::settings::{INPUTS, INPUTS_KEY, INPUTS_WITH_TYPES};

impl Tokenizer {
    /// Writes `tokenizer.json` and `tokenizer_config.json` into `folder`, which is created if it is not there. Each file is
    /// there as a whole or as it was. The tokenizer of an OPUS-MT model is written as [`Self::save_opus`] does, as that of both
    /// sides.
    ///
    /// # Errors
    /// [`FileError::Io`] if something cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        if self.0.opus.is_some() {
            return self.save_opus(self, folder);
        }
        fs::create_dir_all(folder).map_err(|source| FileError::Io {
            attempt: "create",
            path: folder.to_owned(),
            source,
        })?;
        write(&folder.join(CONFIG_FILE), serde_json::to_string_pretty(&self.config()).map_err(io::Error::other))?;
        self.save_json(&folder.join(TOKENIZER_FILE))
    }

    /// Writes the content of `tokenizer.json` alone, to any file.
    ///
    /// # Errors
    /// [`FileError::Io`] if it cannot be written.
    pub fn save_json(&self, path: &Path) -> Result<(), FileError> {
        write(path, self.0.marked.to_string(true).map_err(io::Error::other))
    }

    /// The content of `tokenizer_config.json`.
    pub(super) fn config(&self) -> Map<String, Value> {
        let library = &self.0.marked;
        let mut config = Map::new();
        let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
        let is_bert = match (library.get_model(), library.get_normalizer(), library.get_pre_tokenizer()) {
            (
                ModelWrapper::WordPiece(_),
                Some(NormalizerWrapper::BertNormalizer(bert)),
                Some(PreTokenizerWrapper::BertPreTokenizer(_)),
                // The class has special tokens around texts, whatever `tokenizer.json` says.
            ) if library.get_post_processor().is_some() => {
                set("tokenizer_class", "BertTokenizer".into());
                set("do_lower_case", bert.lowercase.into());
                set("strip_accents", bert.strip_accents.into());
                set("tokenize_chinese_chars", bert.handle_chinese_chars.into());
                true
            }
            _ => {
                set("tokenizer_class", "PreTrainedTokenizerFast".into());
                false
            }
        };
        // What the class does not say by itself.
        match (is_bert, self.0.has_types) {
            (true, false) => drop(set(INPUTS_KEY, INPUTS.as_slice().into())),
            (false, true) => drop(set(INPUTS_KEY, INPUTS_WITH_TYPES.as_slice().into())),
            _ => {}
        }
        if self.splits_special_tokens() {
            set(SPLIT_SPECIALS_KEY, true.into());
        }
        if self.0.cuts_beginning {
            set(SIDE_KEY, "left".into());
        }
        if let Some(max_length) = self.max_length() {
            set("model_max_length", max_length.into());
        }
        for (key, id) in self.specials().keys() {
            if let Some(token) = self.token(id) {
                set(key, token.into());
            }
        }
        config
    }
}

fn write(path: &Path, content: Result<String, io::Error>) -> Result<(), FileError> {
    match content {
        Ok(content) => atomic_write_bytes(path, content + "\n"),
        Err(source) => Err(FileError::Io { attempt: "write", path: path.to_owned(), source }),
    }
}
