//! Byte-pair encoding: merging the commonest pair of tokens until there are enough of them.
//!
//! Hugging Face's trainer does the same, but which of several equally common pairs it takes may depend on the order of
//! a hash map, its counts end at two thousand million, and it cannot be interrupted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::iter;

use burnformer_core::progress::{Interrupt, Progress, Unit};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::Alphabet;
use crate::DataError;
use crate::tokenizer::TokenizerError;

/// When to stop.
pub(super) struct Goal {
    /// Largest number of tokens.
    pub vocab_size: usize,
    /// Smallest number of occurrences of a merged pair.
    pub min_frequency: u64,
}

/// The learnt vocabulary and merges.
pub(super) struct Learnt {
    /// The tokens, by id.
    pub tokens: Vec<String>,
    /// The pairs that were merged, in order.
    pub merges: Vec<(u32, u32)>,
}

/// What stands in front of a token within a word.
const WITHIN: &str = "##";

/// Learns tokens from `words`, each with how often it occurs. Of pairs that are equally common, the one whose tokens
/// were there first is merged first.
pub(super) fn learn(
    specials: Vec<String>,
    words: &[(String, u64)],
    alphabet: Alphabet,
    goal: &Goal,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Learnt, DataError> {
    let mut tokens = Tokens::new(specials);
    let words = spell(&mut tokens, words, alphabet);
    if tokens.names.len() > goal.vocab_size {
        let needed = tokens.names.len();
        return Err(TokenizerError::VocabTooSmall { vocab_size: goal.vocab_size, needed }.into());
    }
    let within = match alphabet {
        Alphabet::Bytes => "",
        Alphabet::Commonest(_) => WITHIN,
    };
    let total = goal.vocab_size - tokens.names.len();
    let stage = progress.stage("learn tokens", Some(total as u64), Unit::Items("tokens"));
    let mut pairs = Pairs::new(words);
    let mut merges = Vec::new();
    while tokens.names.len() < goal.vocab_size {
        interrupt.check()?;
        let Some((pair, count)) = pairs.commonest() else { break };
        if count < goal.min_frequency {
            break;
        }
        let (left, right) = (&tokens.names[pair.0 as usize], &tokens.names[pair.1 as usize]);
        let merged = format!("{left}{}", right.strip_prefix(within).unwrap_or(right));
        let known = tokens.names.len();
        let merged = tokens.id(&merged);
        merges.push(pair);
        pairs.merge(pair, merged);
        stage.advance((tokens.names.len() - known) as u64);
    }
    Ok(Learnt { tokens: tokens.names, merges })
}

/// Tokens and their ids.
struct Tokens {
    names: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Tokens {
    fn new(names: Vec<String>) -> Self {
        let ids = names.iter().cloned().zip(0..).collect();
        Self { names, ids }
    }

    /// The id of `token`, which is added if it is new.
    fn id(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.ids.get(token) {
            return id;
        }
        // A vocabulary has at most 2^20 tokens, and an alphabet at most as many characters as there are.
        let id = self.names.len() as u32;
        self.names.push(token.to_owned());
        self.ids.insert(token.to_owned(), id);
        id
    }
}

/// A word as a sequence of tokens.
struct Word {
    ids: Vec<u32>,
    count: u64,
}

/// The words as sequences of single characters, which get ids: first as they stand at the beginning of a word, then as
/// within it. Characters outside of the alphabet are left out.
fn spell(tokens: &mut Tokens, words: &[(String, u64)], alphabet: Alphabet) -> Vec<Word> {
    let (mut letters, within) = match alphabet {
        Alphabet::Bytes => (ByteLevel::alphabet().into_iter().collect(), ""),
        Alphabet::Commonest(limit) => (commonest_letters(words, limit), WITHIN),
    };
    letters.sort_unstable();
    let first: HashMap<char, u32> = letters.into_iter().map(|c| (c, tokens.id(&c.to_string()))).collect();
    let mut inner: Vec<char> = words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
    inner.sort_unstable();
    inner.dedup();
    let inner: HashMap<char, u32> =
        inner.into_iter().filter(|c| first.contains_key(c)).map(|c| (c, tokens.id(&format!("{within}{c}")))).collect();
    let spell = |(word, count): &(String, u64)| {
        let mut chars = word.chars();
        let head = chars.next().and_then(|c| first.get(&c));
        let ids = head.into_iter().chain(chars.filter_map(|c| inner.get(&c))).copied().collect();
        Word { ids, count: *count }
    };
    words.iter().map(spell).collect()
}

/// The `limit` commonest characters of `words`; of those equally common the first ones.
pub(super) fn commonest_letters(words: &[(String, u64)], limit: usize) -> Vec<char> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (c, count) in words.iter().flat_map(|(word, count)| word.chars().zip(iter::repeat(count))) {
        *counts.entry(c).or_default() += count;
    }
    let mut letters: Vec<_> = counts.into_iter().map(|(c, count)| (Reverse(count), c)).collect();
    letters.sort_unstable();
    letters.into_iter().take(limit).map(|(_, c)| c).collect()
}

type Pair = (u32, u32);

/// The pairs of neighbouring tokens in all words.
struct Pairs {
    words: Vec<Word>,
    counts: HashMap<Pair, u64>,
    /// The words that a pair occurs in, and some that it no longer occurs in.
    places: HashMap<Pair, Vec<usize>>,
    /// Pairs and how often they occurred when they were put in: never less often than now.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Pairs {
    fn new(words: Vec<Word>) -> Self {
        let mut pairs =
            Self { words: Vec::new(), counts: HashMap::new(), places: HashMap::new(), queue: BinaryHeap::new() };
        for (place, word) in words.iter().enumerate() {
            for pair in neighbours(&word.ids) {
                pairs.add(pair, word.count, place);
            }
        }
        pairs.words = words;
        pairs.queue = pairs.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        pairs
    }

    fn add(&mut self, pair: Pair, count: u64, place: usize) {
        *self.counts.entry(pair).or_default() += count;
        let places = self.places.entry(pair).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    /// The pair that occurs most often, and how often.
    fn commonest(&mut self) -> Option<(Pair, u64)> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            match self.counts.get(&pair) {
                Some(&now) if now == count => return Some((pair, count)),
                Some(&now) => self.queue.push((now, Reverse(pair))),
                None => {}
            }
        }
        None
    }

    /// Puts the token `merged` in place of `pair` wherever it occurs.
    fn merge(&mut self, pair: Pair, merged: u32) {
        let mut grown = Vec::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let Word { ids, count } = &mut self.words[place];
            let (mut ids, count) = (std::mem::take(ids), *count);
            if neighbours(&ids).any(|it| it == pair) {
                for pair in neighbours(&ids) {
                    self.remove(pair, count);
                }
                replace(&mut ids, pair, merged);
                for pair in neighbours(&ids) {
                    if pair.0 == merged || pair.1 == merged {
                        self.add(pair, count, place);
                        grown.push(pair);
                    } else {
                        *self.counts.entry(pair).or_default() += count;
                    }
                }
            }
            self.words[place].ids = ids;
        }
        grown.sort_unstable();
        grown.dedup();
        self.queue.extend(grown.into_iter().filter_map(|pair| Some((*self.counts.get(&pair)?, Reverse(pair)))));
    }

    fn remove(&mut self, pair: Pair, count: u64) {
        if let Some(sum) = self.counts.get_mut(&pair) {
            *sum -= count;
            if *sum == 0 {
                self.counts.remove(&pair);
            }
        }
    }
}

fn neighbours(ids: &[u32]) -> impl Iterator<Item = Pair> {
    ids.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Puts `merged` in place of `pair` from left to right.
fn replace(ids: &mut Vec<u32>, pair: Pair, merged: u32) {
    let mut kept = 0;
    let mut next = 0;
    while next < ids.len() {
        if next + 1 < ids.len() && (ids[next], ids[next + 1]) == pair {
            ids[kept] = merged;
            next += 2;
        } else {
            ids[kept] = ids[next];
            next += 1;
        }
        kept += 1;
    }
    ids.truncate(kept);
}
