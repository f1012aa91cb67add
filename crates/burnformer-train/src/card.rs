//! The model card.

use std::fmt::{self, Display, Formatter};

use burnformer_core::printable;

/// A model card in Markdown, as Hugging Face shows it.
///
/// All fields are plain text: what means something in Markdown, HTML or YAML is escaped, so that a page shows the characters of a
/// name, label or path, and does nothing else with them.
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
    /// Facts about the data of the run, each with its name.
    pub data: Vec<(String, String)>,
    /// Metrics, each with its name.
    pub metrics: Vec<(String, String)>,
    /// Commands that use it.
    pub usage: String,
}

impl Display for ModelCard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, pipeline_tag, description, facts, data, metrics, usage } = self;
        writeln!(f, "---\nlibrary_name: burnformer\npipeline_tag: {}\n---\n", yaml(pipeline_tag))?;
        writeln!(f, "# {}\n\n{}\n", markdown(name), markdown(description))?;
        writeln!(f, "| | |\n| --- | --- |")?;
        for (name, fact) in facts {
            writeln!(f, "| {} | {} |", markdown(name), markdown(fact))?;
        }
        for (heading, column, rows) in [("Data", "data", data), ("Measured", "metric", metrics)] {
            if rows.is_empty() {
                continue;
            }
            writeln!(f, "\n## {heading}\n\n| {column} | value |\n| --- | --- |")?;
            for (name, value) in rows {
                writeln!(f, "| {} | {} |", markdown(name), markdown(value))?;
            }
        }
        let fence = fence(usage);
        writeln!(f, "\n## Use\n\n{fence}sh\n{}\n{fence}\n", printable(usage))?;
        writeln!(
            f,
            "The folder is in Hugging Face's format. `run.toml` has the settings with the seed, `metrics.jsonl` and \
             `learning_curves.svg` the training history."
        )
    }
}

/// Plain text on one line of Markdown.
fn markdown(text: &str) -> String {
    let line = text.split(is_break).collect::<Vec<_>>().join(" ");
    let mut escaped = String::with_capacity(line.len());
    for character in printable(&line).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' | '!' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    // An address is no link.
    escaped.replace("://", ":\\//").replace("www.", "www\\.")
}

/// What ends a line for any reader of Markdown or YAML.
fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A value of YAML: itself if that is plain, else between quotation marks, where JSON is YAML.
fn yaml(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.bytes().all(is_plain) && text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return text.to_owned();
    }
    printable(&serde_json::Value::from(text).to_string()).into_owned()
}

/// A fence that `text` cannot end: longer than any of its runs of backticks.
fn fence(text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
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
            data: vec![("texts".to_owned(), "7".to_owned())],
            metrics: vec![("loss".to_owned(), "1.5".to_owned())],
            usage: "burnformer fill-mask a".to_owned(),
        };
        let text = card.to_string();
        assert!(text.starts_with("---\nlibrary_name: burnformer\npipeline_tag: fill-mask\n---\n\n# a\n\nA model.\n"));
        assert!(text.contains("| data | one\\|two three |\n"), "{text}");
        assert!(text.contains("## Data\n\n| data | value |\n| --- | --- |\n| texts | 7 |\n"), "{text}");
        assert!(text.contains("## Measured\n\n| metric | value |\n| --- | --- |\n| loss | 1.5 |\n"), "{text}");
        assert!(text.contains("```sh\nburnformer fill-mask a\n```"), "{text}");
    }

    #[test]
    fn what_others_wrote_is_text_on_the_page() {
        let evil = "<script>alert(1)</script> [a](javascript:b) ![c](https://d)\r\n# e\u{2028}| f | `g` *h* \u{1b}]52;c;i\u{7}&lt;";
        let card = ModelCard {
            name: evil.to_owned(),
            pipeline_tag: "a\nlicense: mit",
            description: evil.to_owned(),
            facts: vec![("classes", evil.to_owned())],
            data: vec![(evil.to_owned(), evil.to_owned())],
            metrics: vec![(evil.to_owned(), evil.to_owned())],
            usage: "burnformer predict 'a\n```\n<script>'".to_owned(),
        };
        let text = card.to_string();
        let shown = "&lt;script&gt;alert(1)&lt;/script&gt; \\[a\\](javascript:b) \\!\\[c\\](https:\\//d)  \\# e \\| f \\| \\`g\\` \
                     \\*h\\* \\\\u001b\\]52;c;i\\\\u0007&amp;lt;";
        assert!(text.contains(&format!("\n# {shown}\n\n{shown}\n\n| | |\n")), "{text}");
        assert!(text.contains(&format!("\n| classes | {shown} |\n")), "{text}");
        assert!(text.contains(&format!("\n| {shown} | {shown} |\n")), "{text}");
        assert!(text.starts_with("---\nlibrary_name: burnformer\npipeline_tag: \"a\\nlicense: mit\"\n---\n"), "{text}");
        assert!(text.contains("\n````sh\nburnformer predict 'a\n```\n<script>'\n````\n"), "{text}");
    }
}
