//! The model card.

use std::fmt::{self, Display, Formatter};

/// A model card in Markdown, as Hugging Face shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    /// The name of the model.
    pub name: String,
    /// Hugging Face's name of the task: `fill-mask`, `text-classification`.
    pub pipeline_tag: &'static str,
    /// Description in one or two sentences.
    pub description: String,
    /// Facts about data, model and training, each with a name.
    pub facts: Vec<(&'static str, String)>,
    /// Metrics, each with its name.
    pub metrics: Vec<(String, String)>,
    /// Commands that use it.
    pub usage: String,
}

impl Display for ModelCard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, pipeline_tag, description, facts, metrics, usage } = self;
        writeln!(f, "---\nlibrary_name: burnformer\npipeline_tag: {pipeline_tag}\n---\n\n# {name}\n\n{description}\n")?;
        writeln!(f, "| | |\n| --- | --- |")?;
        for (name, fact) in facts {
            writeln!(f, "| {name} | {} |", cell(fact))?;
        }
        if !metrics.is_empty() {
            writeln!(f, "\n## Measured\n\n| metric | value |\n| --- | --- |")?;
            for (name, value) in metrics {
                writeln!(f, "| {name} | {} |", cell(value))?;
            }
        }
        writeln!(f, "\n## Use\n\n```sh\n{usage}\n```\n")?;
        writeln!(
            f,
            "The folder is in Hugging Face's format. `run.toml` has the settings with the seed, `metrics.jsonl` and \
             `learning_curves.svg` the training history."
        )
    }
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_a_page_with_tables() {
        let card = ModelCard {
            name: "a".to_owned(),
            pipeline_tag: "fill-mask",
            description: "A model.".to_owned(),
            facts: vec![("data", "one|two\nthree".to_owned())],
            metrics: vec![("loss".to_owned(), "1.5".to_owned())],
            usage: "burnformer fill-mask a".to_owned(),
        };
        let text = card.to_string();
        assert!(text.starts_with("---\nlibrary_name: burnformer\npipeline_tag: fill-mask\n---\n\n# a\n\nA model.\n"));
        assert!(text.contains("| data | one\\|two three |\n"), "{text}");
        assert!(text.contains("## Measured\n\n| metric | value |\n| --- | --- |\n| loss | 1.5 |\n"), "{text}");
        assert!(text.contains("```sh\nburnformer fill-mask a\n```"), "{text}");
    }
}
