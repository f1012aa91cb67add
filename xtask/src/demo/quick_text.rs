//! A few hundred sentences for the quick demonstration, made of parts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Kinds of items, each with ways to document one: `{}` is a noun, `[]` another.
const KINDS: [(&str, [&str; 4]); 3] = [
    (
        "fn",
        [
            "Returns the {} of this [].",
            "Adds a {} to the [].",
            "Removes every {} from the [].",
            "Checks whether a {} fits the [].",
        ],
    ),
    (
        "struct",
        ["A {} with its [].", "The {} that holds a [].", "Settings of a {} and its [].", "A list of {}s behind a []."],
    ),
    (
        "field",
        [
            "Number of {}s in the [].",
            "Name of the {}, as the [] knows it.",
            "Size of a {} in []s.",
            "Where the {} of the [] begins.",
        ],
    ),
];
const NOUNS: [&str; 10] =
    ["parcel", "ladder", "window", "engine", "garden", "letter", "bridge", "button", "basket", "mirror"];
/// Repositories, so that there is something to divide by.
const GROUPS: usize = 20;

/// Writes `documents.jsonl` and `items.jsonl` as `burnformer data rust-docs` does.
pub(super) fn write(folder: &Path) -> Result<()> {
    let (mut documents, mut items) = (String::new(), String::new());
    for group in 0..GROUPS {
        let mut sentences = Vec::new();
        for (kind, (label, ways)) in KINDS.iter().enumerate() {
            for (way, pattern) in ways.iter().enumerate() {
                // No two repositories have a sentence in common.
                let (first, second) = (NOUNS[group % 10], NOUNS[(group / 10 + 3 * way + kind + group + 1) % 10]);
                let sentence = pattern.replace("{}", first).replace("[]", second);
                let row = serde_json::json!({"text": sentence, "label": label, "group": format!("repository-{group}")});
                writeln!(items, "{row}")?;
                sentences.push(sentence);
            }
        }
        let row = serde_json::json!({"text": sentences.join("\n"), "group": format!("repository-{group}")});
        writeln!(documents, "{row}")?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    for (name, text) in [("documents.jsonl", documents), ("items.jsonl", items)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_hundreds_of_sentences_and_none_stands_twice() {
        let folder = std::env::temp_dir().join(format!("burnformer-quick-text-{}", std::process::id()));
        write(&folder).unwrap();
        let items = fs::read_to_string(folder.join("items.jsonl")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let text = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].to_string();
        let texts: std::collections::BTreeSet<String> = items.lines().map(text).collect();
        assert_eq!((items.lines().count(), texts.len()), (240, 240));
    }
}
