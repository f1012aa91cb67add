//! What processes send each other that build a corpus together.

use std::io;
use std::path::Path;

use burnformer_core::CollectiveError;
use burnformer_core::collective::Message;
use serde::{Deserialize, Serialize};

use super::tokenized::Tokenized;
use crate::{Record, Target};

/// The records of several chunks.
pub(super) struct Texts(pub(super) Vec<Vec<Record>>);

/// What has become of them.
pub(super) struct Tokens(pub(super) Vec<Tokenized>);

/// What of a record tokenisation depends on.
#[derive(Serialize, Deserialize)]
struct Text {
    text: String,
    pair: Option<String>,
    group: Option<String>,
    class: Option<String>,
    continues: bool,
}

impl Message for Texts {
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), CollectiveError> {
        let text = |record: &Record| Text {
            text: record.text.clone(),
            pair: record.pair.clone(),
            group: record.group.clone(),
            class: record.class().map(str::to_owned),
            continues: record.continues,
        };
        let texts = self.0.iter().map(|records| records.iter().map(text).collect::<Vec<_>>());
        serde_json::to_writer(bytes, &texts.collect::<Vec<_>>()).map_err(CollectiveError::message)
    }

    fn read(bytes: &[u8]) -> Result<Self, CollectiveError> {
        // Errors about a record are found where its file is read.
        let path = Path::new("").into();
        let record = |Text { text, pair, group, class, continues }| Record {
            pair,
            group,
            target: class.map(Target::Class),
            continues,
            ..Record::new(text, std::sync::Arc::clone(&path), 0)
        };
        let texts: Vec<Vec<Text>> = serde_json::from_slice(bytes).map_err(CollectiveError::message)?;
        Ok(Self(texts.into_iter().map(|texts| texts.into_iter().map(record).collect()).collect()))
    }
}

impl Message for Tokens {
    /// Lengths and all that is no list of numbers in JSON, then all numbers, which JSON would make many times as long.
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), CollectiveError> {
        let heads = self.0.iter().map(|chunk| ((chunk.ids.len(), chunk.sentence_ends.len()), chunk));
        let heads = heads.collect::<Vec<_>>();
        let heads = serde_json::to_vec(&heads).map_err(CollectiveError::message)?;
        bytes.extend((heads.len() as u64).to_le_bytes());
        bytes.extend(heads);
        for chunk in &self.0 {
            bytes.extend(chunk.ids.iter().chain(&chunk.sentence_ends).flat_map(|number| number.to_le_bytes()));
        }
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Self, CollectiveError> {
        let short = || CollectiveError::message(io::Error::from(io::ErrorKind::UnexpectedEof));
        let (length, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(CollectiveError::message)?;
        let (heads, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        let heads: Vec<((usize, usize), Tokenized)> =
            serde_json::from_slice(heads).map_err(CollectiveError::message)?;
        let mut numbers = rest.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let chunk = |((n_ids, n_sentences), rest): ((usize, usize), Tokenized)| {
            let mut take = |n: usize| {
                let taken: Vec<u32> = numbers.by_ref().take(n).collect();
                if taken.len() == n { Ok(taken) } else { Err(short()) }
            };
            let (ids, sentence_ends) = (take(n_ids)?, take(n_sentences)?);
            Ok(Tokenized { ids, sentence_ends, ..rest })
        };
        heads.into_iter().map(chunk).collect::<Result<_, _>>().map(Self)
    }
}
