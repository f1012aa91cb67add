//! Statistics as text.

use std::fmt::{self, Display, Formatter};

use super::{Histogram, Statistics};

/// Width of the longest bar of a histogram.
const BAR: u64 = 40;

impl Display for Statistics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "documents", grouped(self.documents))?;
        if self.groups > 0 {
            line(f, "groups", grouped(self.groups))?;
        }
        line(f, "sentences", grouped(self.sentences))?;
        line(f, "tokens", grouped(self.tokens))?;
        let per_token = super::share(self.text_bytes, self.tokens);
        line(f, "bytes of text", format_args!("{} ({per_token:.2} a token)", grouped(self.text_bytes)))?;
        let coverage = percent(self.vocabulary_coverage());
        let (used, size) = (grouped(self.vocab_used), grouped(self.vocab_size));
        line(f, "vocabulary used", format_args!("{used} of {size} ({coverage})"))?;
        let unknown = percent(self.unknown_share());
        line(f, "unknown tokens", format_args!("{} ({unknown})", grouped(self.unknown_tokens)))?;
        line(f, "duplicates", grouped(self.duplicates))?;
        line(f, "empty records", grouped(self.empty_records))?;
        line(f, "rows skipped", grouped(self.skipped_rows))?;
        if let Some(share) = self.padding_share {
            line(f, "padding in batches", percent(share))?;
        }
        histogram(f, "tokens in a sentence", &self.sentence_lengths)?;
        histogram(f, "tokens in a document", &self.document_lengths)?;
        if !self.labels.is_empty() {
            let most = self.labels.iter().map(|label| label.documents).max().unwrap_or(0);
            writeln!(f, "\ndocuments of a label")?;
            for label in &self.labels {
                bar(f, &label.label, label.documents, most)?;
            }
        }
        Ok(())
    }
}

fn line(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<20} {value}")
}

fn histogram(f: &mut Formatter<'_>, name: &str, lengths: &Histogram) -> fmt::Result {
    writeln!(f, "\n{name}: {:.1} on average, {} at most", lengths.mean(), grouped(lengths.longest()))?;
    let most = lengths.buckets().map(|bucket| bucket.count).max().unwrap_or(0);
    for bucket in lengths.buckets() {
        let range =
            if bucket.from == bucket.to { bucket.from.to_string() } else { format!("{}–{}", bucket.from, bucket.to) };
        bar(f, &range, bucket.count, most)?;
    }
    Ok(())
}

fn bar(f: &mut Formatter<'_>, name: &str, count: u64, most: u64) -> fmt::Result {
    let width = (count * BAR).div_ceil(most.max(1)) as usize;
    writeln!(f, "  {name:<18} {:>12} {}", grouped(count), "█".repeat(width))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
