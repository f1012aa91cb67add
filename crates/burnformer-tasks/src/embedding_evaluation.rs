//! How good embeddings are: on pairs of texts with scores, and in the retrieval of second texts.

use std::collections::{BTreeSet, HashMap};

use burnformer_core::collective::{Collective, agree};
use burnformer_core::progress::{Interrupt, Progress, Unit};
use burnformer_data::paired::{PairedExample, PairedTexts};
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::metrics::{BootstrapInterval, RankedGains, bootstrap_interval, pearson, spearman};
use crate::{Similarity, TaskError, TextEmbedding};

/// Number of texts that are embedded between two looks at the request to stop.
const AT_ONCE: usize = 256;
/// Number of answers to a query that are looked at.
pub const RETRIEVED: usize = 100;

/// What embeddings are good for.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingQuality {
    /// Of pairs with scores.
    Similarity(SimilarityQuality),
    /// Of pairs that go together.
    Retrieval(RetrievalQuality),
}

/// Correlation of the similarities of pairs with their scores; `None` where it is not defined, as of equal numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarityQuality {
    /// Pearson's correlation.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation.
    pub spearman: Option<f64>,
    /// How uncertain Spearman's rank correlation is.
    pub spearman_interval: Option<BootstrapInterval>,
}

/// Every different first text is a query, and every different second text or negative a document. The relevant documents of a
/// query are its second texts.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalQuality {
    /// For each query the gains of the documents, the most similar first, at most [`RETRIEVED`].
    pub queries: Vec<RankedGains>,
    /// Number of documents.
    pub documents: usize,
    /// Share of pairs that are more similar than the first text is to all negatives of the pair; `None` without negatives.
    pub triplet_accuracy: Option<f64>,
}

/// Measures embeddings.
pub struct EmbeddingEvaluation<'a> {
    /// The embedding of first texts.
    pub of_texts: &'a TextEmbedding,
    /// The embedding of second texts and negatives.
    pub of_others: &'a TextEmbedding,
    /// Where progress is reported.
    pub progress: &'a dyn Progress,
    /// The request to stop.
    pub interrupt: &'a Interrupt,
    /// The processes that measure together, each with the same models and texts. All get the same numbers.
    pub collective: &'a dyn Collective,
    /// Seed of the resamples of intervals.
    pub seed: u64,
}

impl EmbeddingEvaluation<'_> {
    /// Measures them on pairs: by their scores, if they have some, else in retrieval.
    ///
    /// # Errors
    /// If a text cannot be embedded, or on request of the interrupt.
    pub fn measure(&self, texts: &PairedTexts) -> Result<EmbeddingQuality, TaskError> {
        match texts.have_scores() {
            true => Ok(EmbeddingQuality::Similarity(self.similarity(texts)?)),
            false => Ok(EmbeddingQuality::Retrieval(self.retrieval(texts)?)),
        }
    }

    fn similarity(&self, texts: &PairedTexts) -> Result<SimilarityQuality, TaskError> {
        let (first, second) =
            (Distinct::of(texts.examples.iter().map(text)), Distinct::of(texts.examples.iter().map(pair)));
        let first_embeddings = self.embed(self.of_texts, &first.texts)?;
        let second_embeddings = self.embed(self.of_others, &second.texts)?;
        let similarity = self.of_texts.similarity();
        let of_pair =
            |(first, second): (&usize, &usize)| similarity.of(&first_embeddings[*first], &second_embeddings[*second]);
        let similarities: Vec<f64> = first.places.iter().zip(&second.places).map(of_pair).collect();
        let scores: Vec<f64> =
            texts.examples.iter().map(|example| f64::from(example.score.unwrap_or_default())).collect();
        Ok(SimilarityQuality {
            pearson: pearson(&similarities, &scores),
            spearman: spearman(&similarities, &scores),
            spearman_interval: bootstrap_interval(scores.len(), self.seed, |rows| {
                let of = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<_>>();
                spearman(&of(&similarities), &of(&scores))
            }),
        })
    }

    fn retrieval(&self, texts: &PairedTexts) -> Result<RetrievalQuality, TaskError> {
        let queries = Distinct::of(texts.examples.iter().map(text));
        let pairs = texts.examples.iter().map(pair);
        let negatives = texts.examples.iter().flat_map(|example| example.negatives.iter().map(String::as_str));
        let documents = Distinct::of(pairs.chain(negatives));
        let mut relevant = vec![BTreeSet::new(); queries.texts.len()];
        for (&query, &document) in queries.places.iter().zip(&documents.places) {
            relevant[query].insert(document);
        }
        let query_embeddings = self.embed(self.of_texts, &queries.texts)?;
        let document_embeddings = self.embed(self.of_others, &documents.texts)?;
        let similarity = self.of_texts.similarity();
        let index = Index::new(similarity, &document_embeddings);
        let nearest = self.shared(("retrieve", "queries"), &query_embeddings, |queries| {
            Ok(queries.par_iter().map(|query| index.nearest(query, RETRIEVED)).collect())
        })?;
        let gains = |(nearest, relevant): (Vec<usize>, &BTreeSet<usize>)| {
            let gain = |document: usize| if relevant.contains(&document) { 1.0 } else { 0.0 };
            RankedGains::of_part(nearest.into_iter().map(gain).collect(), vec![1.0; relevant.len()])
        };
        let ranked = nearest.into_iter().zip(&relevant).map(gains).collect();
        // Behind the second texts come the negatives, row by row.
        let mut negatives = documents.places[texts.examples.len()..].iter();
        let places = texts.examples.iter().zip(queries.places.iter().zip(&documents.places));
        let mut n_right = 0_u64;
        for (example, (&query, &document)) in places {
            let to = |document: usize| similarity.of(&query_embeddings[query], &document_embeddings[document]);
            let others: Vec<usize> = negatives.by_ref().take(example.negatives.len()).copied().collect();
            n_right += u64::from(others.iter().all(|&other| to(document) > to(other)));
        }
        let triplet_accuracy = texts.have_negatives().then(|| n_right as f64 / texts.examples.len() as f64);
        Ok(RetrievalQuality { queries: ranked, documents: documents.texts.len(), triplet_accuracy })
    }

    fn embed(&self, pipeline: &TextEmbedding, texts: &[&str]) -> Result<Vec<Vec<f32>>, TaskError> {
        // As bits, which other processes read as they are.
        let embed = |texts: &[&str]| Ok(pipeline.embed(texts)?.iter().map(|vector| bits(vector)).collect());
        let embeddings = self.shared(("embed", "texts"), texts, embed)?;
        Ok(embeddings.into_iter().map(|vector| vector.into_iter().map(f32::from_bits).collect()).collect())
    }

    /// What `work` returns for each of `items`, of which each process works on every so many-th [`AT_ONCE`].
    fn shared<I, V: Serialize + DeserializeOwned>(
        &self,
        (stage, unit): (&str, &'static str),
        items: &[I],
        work: impl Fn(&[I]) -> Result<Vec<V>, TaskError>,
    ) -> Result<Vec<V>, TaskError> {
        let stage = self.progress.stage(stage, Some(items.len() as u64), Unit::Items(unit));
        let mut all = Vec::with_capacity(items.len());
        for round in items.chunks(AT_ONCE * self.collective.size()) {
            let own = round.chunks(AT_ONCE).nth(self.collective.rank()).unwrap_or_default();
            let found = self.interrupt.check().map_err(TaskError::from).and_then(|()| work(own));
            all.extend(agree(self.collective, found)?.into_iter().flatten());
            stage.advance(round.len() as u64);
        }
        Ok(all)
    }
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|number| number.to_bits()).collect()
}

fn text(example: &PairedExample) -> &str {
    &example.text
}

fn pair(example: &PairedExample) -> &str {
    &example.pair
}

/// Different texts in the order of their first occurrence, and where each of all texts is among them.
struct Distinct<'a> {
    texts: Vec<&'a str>,
    places: Vec<usize>,
}

impl<'a> Distinct<'a> {
    fn of(all: impl Iterator<Item = &'a str>) -> Self {
        let (mut texts, mut numbers) = (Vec::new(), HashMap::new());
        let places = all.map(|text| {
            *numbers.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        });
        let places = places.collect();
        Self { texts, places }
    }
}

/// Vectors to search in.
struct Index<'a> {
    similarity: Similarity,
    vectors: &'a [Vec<f32>],
    /// Length of each vector.
    norms: Vec<f32>,
}

impl<'a> Index<'a> {
    fn new(similarity: Similarity, vectors: &'a [Vec<f32>]) -> Self {
        Self { similarity, vectors, norms: vectors.iter().map(|vector| dot(vector, vector).sqrt()).collect() }
    }

    /// The places of the `n` vectors that are most similar to `query`, the most similar first; of equal ones the first.
    fn nearest(&self, query: &[f32], n: usize) -> Vec<usize> {
        let similarity = |(vector, norm): (&Vec<f32>, &f32)| match self.similarity {
            // The length of the query changes no order.
            Similarity::Cosine if *norm == 0.0 => 0.0,
            Similarity::Cosine => dot(query, vector) / norm,
            Similarity::Dot => dot(query, vector),
            Similarity::Euclidean | Similarity::Manhattan => self.similarity.of(query, vector) as f32,
        };
        let similarities: Vec<f32> = self.vectors.iter().zip(&self.norms).map(similarity).collect();
        let order = |&a: &usize, &b: &usize| similarities[b].total_cmp(&similarities[a]).then(a.cmp(&b));
        let mut places: Vec<usize> = (0..similarities.len()).collect();
        if n < places.len() {
            places.select_nth_unstable_by(n, order);
            places.truncate(n);
        }
        places.sort_unstable_by(order);
        places
    }
}

/// In eight sums, so that the processor can add them side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_vectors_are_in_order() {
        let vectors = [vec![2.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0], vec![0.0, 0.0], vec![4.0, 0.0], vec![-1.0, 0.0]];
        let nearest = |similarity, n| Index::new(similarity, &vectors).nearest(&[3.0, 0.0], n);
        assert_eq!(nearest(Similarity::Cosine, 9), [0, 4, 2, 1, 3, 5]);
        assert_eq!(nearest(Similarity::Cosine, 3), [0, 4, 2]);
        assert_eq!(nearest(Similarity::Dot, 2), [4, 0]);
        assert_eq!(nearest(Similarity::Euclidean, 2), [0, 4]);
        assert_eq!(nearest(Similarity::Manhattan, 9), [0, 4, 2, 3, 1, 5]);
        assert!(Index::new(Similarity::Dot, &[]).nearest(&[], 3).is_empty());
    }

    #[test]
    fn a_dot_product_adds_up_all_elements() {
        let values: Vec<f32> = (0..19).map(|i| i as f32).collect();
        assert_eq!(dot(&values, &values), values.iter().map(|x| x * x).sum::<f32>());
    }

    #[test]
    fn a_text_that_comes_again_is_the_first_one() {
        let found = Distinct::of(["a", "b", "a", "c", "b"].into_iter());
        assert_eq!((found.texts, found.places), (vec!["a", "b", "c"], vec![0, 1, 0, 2, 1]));
    }
}
