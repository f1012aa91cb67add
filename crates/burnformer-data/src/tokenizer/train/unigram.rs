//! Unigram: pieces of words with probabilities, learnt by Hugging Face's trainer so that the same words always give the same
//! pieces.
//!
//! Its sums depend on the number of threads, so it gets one. It gives characters that training drops scores in the order of a hash
//! map, so these are put in order afterwards. Its counts end at four thousand million, so larger ones are scaled.

use std::collections::HashSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use burnformer_core::progress::{Interrupt, Progress, Unit};
use tokenizers::AddedToken;
use tokenizers::models::unigram::{Unigram, UnigramTrainer};

use super::merges::{Goal, commonest_letters};
use crate::DataError;
use crate::tokenizer::TokenizerError;
use crate::tokenizer::long::guard;

/// Period of checks of the interrupt.
const LOOK: Duration = Duration::from_millis(100);
/// Longest word that the library sees whole, in characters: it takes some thousand bytes for each.
const LONGEST: usize = 1024;
/// Difference of the scores that the library gives to two characters that training dropped.
const DROPPED: f64 = 0.0001;

/// A piece and the logarithm of its probability.
pub(super) type Piece = (String, f64);

/// Learns pieces from `words`, each with how often it occurs; the special tokens, of which `unknown` is one, come first, with a
/// score of 0. Characters beyond the `limit` commonest ones are left out.
///
/// An interruption returns at once; the thread of the library ends some time later, or with the program.
pub(super) fn learn(
    specials: &[&str],
    unknown: &str,
    words: &[(String, u64)],
    limit: usize,
    goal: &Goal,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Piece>, DataError> {
    let letters: HashSet<char> = commonest_letters(words, limit).into_iter().collect();
    let (vocab_size, needed) = (goal.vocab_size, specials.len() + letters.len() + 1);
    if vocab_size < needed {
        return Err(TokenizerError::VocabTooSmall { vocab_size, needed }.into());
    }
    let sentences = sentences(words, &letters);
    if sentences.is_empty() {
        return Err(TokenizerError::EmptyCorpus.into());
    }
    let added = specials.iter().map(|&token| AddedToken::from(token, true)).collect();
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        // A vocabulary has at most 2^20 tokens.
        .vocab_size(vocab_size as u32)
        .special_tokens(added)
        .unk_token(Some(unknown.to_owned()))
        .build();
    let trainer = trainer.map_err(|error| TokenizerError::Train { reason: error.to_string() })?;
    let _stage = progress.stage("learn tokens", None, Unit::Items("tokens"));
    let pieces = watched(interrupt, move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        pool.install(|| {
            let mut model = Unigram::default();
            trainer.do_train(sentences, &mut model)?;
            Ok(model.iter().cloned().collect::<Vec<Piece>>())
        })
    })?;
    Ok(in_order(pieces, specials.len()))
}

/// The words with those of their characters that are among `letters`, and with counts whose sums the library can hold.
fn sentences(words: &[(String, u64)], letters: &HashSet<char>) -> Vec<(String, u32)> {
    let total: u64 = words.iter().map(|(word, count)| count * word.chars().count() as u64).sum();
    let scale = total.div_ceil(u64::from(u32::MAX / 2)).max(1);
    let spell = |(word, count): &(String, u64)| {
        let word: Vec<char> = word.chars().filter(|c| letters.contains(c)).collect();
        let count = u32::try_from((count / scale).max(1)).unwrap_or(u32::MAX);
        word.chunks(LONGEST).map(|part| (part.iter().collect(), count)).collect::<Vec<_>>()
    };
    let mut parts: Vec<(String, u32)> = words.iter().flat_map(spell).collect();
    parts.sort_unstable();
    parts.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 = if is_same { kept.1.saturating_add(next.1) } else { kept.1 };
        is_same
    });
    parts
}

/// What `work` returns, unless there is an interruption before. It runs on a thread of its own.
fn watched<T: Send + 'static>(
    interrupt: &Interrupt,
    work: impl FnOnce() -> tokenizers::Result<T> + Send + 'static,
) -> Result<T, DataError> {
    let (sender, receiver) = mpsc::channel();
    // Nobody waits for an answer after an interruption.
    let work = move || drop(sender.send(guard(work)));
    let started = thread::Builder::new().spawn(work);
    started.map_err(|error| TokenizerError::Train { reason: error.to_string() })?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(answer) => {
                return Ok(answer.map_err(|error| match error {
                    TokenizerError::Encode { reason } => TokenizerError::Train { reason },
                    error => error,
                })?);
            }
            Err(RecvTimeoutError::Timeout) => interrupt.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TokenizerError::Train { reason: "the trainer gave up".to_owned() }.into());
            }
        }
    }
}

/// The pieces behind the special tokens by falling score, then by their characters; the scores of characters that training dropped
/// in the order of the characters.
fn in_order(mut pieces: Vec<Piece>, n_specials: usize) -> Vec<Piece> {
    let by_score = |(a, a_score): &Piece, (b, b_score): &Piece| b_score.total_cmp(a_score).then_with(|| a.cmp(b));
    let learnt = &mut pieces[n_specials..];
    learnt.sort_unstable_by(by_score);
    let single: Vec<usize> = (0..learnt.len()).filter(|&at| learnt[at].0.chars().nth(1).is_none()).collect();
    let scores: Vec<f64> = single.iter().map(|&at| learnt[at].1).collect();
    let is_near = |wanted: f64| {
        let close = DROPPED * 1e-6;
        let at = scores.partition_point(|&score| score > wanted + close);
        scores.get(at).is_some_and(|&score| score >= wanted - close)
    };
    let near = |at: &usize| is_near(learnt[*at].1 + DROPPED) || is_near(learnt[*at].1 - DROPPED);
    let dropped: Vec<usize> = single.iter().copied().filter(near).collect();
    let mut characters: Vec<String> = dropped.iter().map(|&at| learnt[at].0.clone()).collect();
    characters.sort_unstable();
    for (at, character) in dropped.into_iter().zip(characters) {
        learnt[at].0 = character;
    }
    // SentencePiece's scores have this type; others would not be the same in JSON.
    learnt.iter_mut().for_each(|(_, score)| *score = f64::from(*score as f32));
    learnt.sort_unstable_by(by_score);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library gives two of three dropped characters the first scores that it comes to, one of which a kept piece has too.
    #[test]
    fn the_order_does_not_depend_on_which_character_came_first() {
        let pieces = |[a, b, c]: [&str; 3]| {
            let scores = [
                ("<unk>", 0.0),
                ("xy", -2.0),
                ("near", -5.0),
                (a, -5.0),
                (b, -5.0 + DROPPED),
                (c, -5.0 + 2.0 * DROPPED),
            ];
            in_order(scores.map(|(piece, score)| (piece.to_owned(), score)).to_vec(), 1)
        };
        let expected = pieces(["$", "j", "q"]);
        assert_eq!(
            expected.iter().map(|(piece, _)| piece.as_str()).collect::<Vec<_>>(),
            ["<unk>", "xy", "$", "j", "near", "q"]
        );
        for order in [["$", "q", "j"], ["j", "$", "q"], ["j", "q", "$"], ["q", "$", "j"], ["q", "j", "$"]] {
            assert_eq!(pieces(order), expected);
        }
    }

    #[test]
    fn counts_and_words_fit_the_library() {
        let letters = ['a', 'b'].into();
        let words = [("abx".to_owned(), u64::MAX >> 20), ("x".to_owned(), 7), ("a".repeat(2 * LONGEST + 1), 3)];
        let sentences = sentences(&words, &letters);
        let found: Vec<_> = sentences.iter().map(|(word, count)| (word.len(), *count)).collect();
        // Equal parts are one.
        assert_eq!((found[0], found[1], found[2].0, found.len()), ((1, 1), (LONGEST, 2), 2, 3));
        assert!(
            sentences.iter().map(|(word, count)| u64::from(*count) * word.len() as u64).sum::<u64>()
                <= u64::from(u32::MAX)
        );
    }
}
