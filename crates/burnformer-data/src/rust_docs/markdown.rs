//! The prose in Markdown: its paragraphs, list items and quotes as plain text.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CowStr, Event, Options, Parser, Tag, TagEnd};

/// The fewest words that a text consists of.
const MIN_WORDS: usize = 3;

/// Words that hold English sentences together, hardly one of which has none of them.
const FUNCTION_WORDS: [&str; 48] = [
    "a", "all", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "for", "from", "has", "have", "if",
    "in", "into", "is", "it", "its", "no", "not", "of", "on", "only", "or", "same", "should", "so", "that", "the",
    "then", "these", "this", "to", "use", "used", "using", "was", "we", "when", "which", "will", "with", "without",
    "you",
];

/// Commands of Doxygen, behind `@` or `\`. Bindings to C have them in doc comments that Markdown makes no sense of.
const DOXYGEN: [&str; 6] = ["addtogroup", "brief", "defgroup", "ingroup", "param", "return"];

/// A paragraph as plain text in one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prose {
    pub(super) text: String,
    /// The line of the Markdown it begins in, counted from zero.
    pub(super) line: usize,
    /// `true` if it introduces the rest: the first thing said, apart from headings and code.
    pub(super) leads: bool,
}

/// The prose of `markdown`: without code blocks, tables, HTML, headings, images, lists of links, and what is no sentence in
/// Latin letters.
pub(super) fn prose(markdown: &str) -> Vec<Prose> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let resolve = |link: BrokenLink<'_>| resolve(markdown, &link);
    let parser = Parser::new_with_broken_link_callback(markdown, options, Some(resolve));
    let mut writer = Writer::new(markdown);
    for (event, range) in parser.into_offset_iter() {
        writer.write(event, &range);
    }
    writer.done
}

/// Takes `[Vec::push]` for a link into documentation, as rustdoc does, but leaves `[0, 1)` and `a[i]` alone.
fn resolve(markdown: &str, link: &BrokenLink<'_>) -> Option<(CowStr<'static>, CowStr<'static>)> {
    let path = link.reference.trim_matches('`');
    let is_path = path.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "_:!()<>@#.-&*, ".contains(c))
        && (link.reference.starts_with('`') || !path.contains(' '));
    let is_index = markdown[..link.span.start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    (is_path && !is_index).then(|| (CowStr::from(""), CowStr::from("")))
}

struct Writer<'a> {
    markdown: &'a str,
    done: Vec<Prose>,
    /// The lines that end before `counted` bytes.
    lines: usize,
    counted: usize,
    /// The paragraph under way, where it begins, and how many of its bytes are texts of links.
    text: String,
    start: Option<usize>,
    linked: usize,
    /// How many of these are open.
    dropped: usize,
    links: usize,
    lists: usize,
    /// `true` once something was said.
    begun: bool,
}

impl<'a> Writer<'a> {
    fn new(markdown: &'a str) -> Self {
        let (done, text) = (Vec::new(), String::new());
        Self {
            markdown,
            done,
            lines: 0,
            counted: 0,
            text,
            start: None,
            linked: 0,
            dropped: 0,
            links: 0,
            lists: 0,
            begun: false,
        }
    }

    fn write(&mut self, event: Event<'_>, range: &Range<usize>) {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) | Event::Code(text) => self.push(&text, range.start),
            Event::SoftBreak | Event::HardBreak => self.push(" ", range.start),
            _ => {}
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Image { .. } => self.dropped += 1,
            Tag::Link { .. } => self.links += 1,
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough => {}
            block => {
                self.finish();
                self.dropped += usize::from(is_dropped(&block.to_end()));
                self.lists += usize::from(matches!(block, Tag::List(_)));
            }
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Image => self.dropped -= 1,
            TagEnd::Link => self.links -= 1,
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {}
            block => {
                self.finish();
                self.dropped -= usize::from(is_dropped(&block));
                self.lists -= usize::from(matches!(block, TagEnd::List(_)));
            }
        }
    }

    fn push(&mut self, text: &str, start: usize) {
        if self.dropped == 0 {
            self.start.get_or_insert(start);
            self.text.push_str(text);
            self.linked += if self.links > 0 { text.len() } else { 0 };
        }
    }

    /// Ends the paragraph under way, if there is one.
    fn finish(&mut self) {
        let mut text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(rest) = text.strip_prefix("< ") {
            text = rest.to_owned(); // Doxygen's `/**< what stands before it */`, in bindings to C.
        }
        let linked = std::mem::take(&mut self.linked);
        self.text.clear();
        let Some(start) = self.start.take().filter(|_| !text.is_empty()) else { return };
        let leads = !std::mem::replace(&mut self.begun, true) && self.lists == 0;
        if linked * 2 <= text.len() && is_prose(&text) {
            self.lines += self.markdown[self.counted..start].matches('\n').count();
            self.counted = start;
            self.done.push(Prose { text, line: self.lines, leads });
        }
    }
}

/// Whether what stands in such a block is no prose.
fn is_dropped(tag: &TagEnd) -> bool {
    matches!(tag, TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::Heading(_) | TagEnd::Table | TagEnd::MetadataBlock(_))
}

/// Whether a text, its white space collapsed, is a sentence or something like it, rather than a signature, a formula or
/// another language.
fn is_prose(text: &str) -> bool {
    let words = text.split(' ').filter(|word| word.contains(|c: char| c.is_ascii_alphabetic())).count();
    let marks = text.chars().filter(|c| !c.is_whitespace());
    let (letters, all) =
        marks.fold((0, 0), |(letters, all), c| (letters + usize::from(c.is_ascii_alphabetic()), all + 1));
    words >= MIN_WORDS
        && letters * 4 >= all * 3
        && !is_doxygen(text)
        && (has_function_word(text) || has_plain_words(text))
}

fn is_doxygen(text: &str) -> bool {
    let mut commands = text.split(' ').filter_map(|word| word.strip_prefix(['@', '\\']));
    commands.any(|command| DOXYGEN.iter().any(|known| command.starts_with(known)))
}

fn has_function_word(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| FUNCTION_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Whether there is nothing but words, up to the mark at the end: "Extracts raw sockets."
fn has_plain_words(text: &str) -> bool {
    let text = text.strip_suffix(['.', '!', '?', ':']).unwrap_or(text);
    text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expected: &[&str]) {
        let texts: Vec<_> = prose(markdown).into_iter().map(|prose| prose.text).collect();
        assert_eq!(texts, expected, "in {markdown:?}");
    }

    #[test]
    fn paragraphs_items_and_quotes_are_texts_of_their_own_in_one_line() {
        check(
            "The first line\nand   the *second*.\n\n- an item of **three**\n- another one, which\n  goes on\n  - and has a child\n\n\
             > As they say.\n\n1. [ ] still to do",
            &[
                "The first line and the second.",
                "an item of three",
                "another one, which goes on",
                "and has a child",
                "As they say.",
                "still to do",
            ],
        );
    }

    #[test]
    fn a_list_item_may_have_paragraphs() {
        check("* The first of them.\n\n  The second of them.\n", &["The first of them.", "The second of them."]);
    }

    #[test]
    fn what_is_no_prose_is_dropped() {
        for markdown in [
            "# A heading of five words",
            "A heading with a line\n=====",
            "```\nlet this be some code;\n```",
            "    let this be indented code;",
            "| a table | of two columns |\n| --- | --- |\n| and one | row below |",
            "<p align=\"center\">a paragraph of HTML</p>",
            "<!-- a comment in HTML -->",
            "![a picture of a cat](cat.png)",
            "[![badge of the build](a.svg)](b) [![and of the docs](c.svg)](d)",
            "[a reference]: https://example.com \"with a title\"",
            "---\ntitle: the front matter\n---\n",
            "too short",
            "1 + 2 = 3, 4 + 5 = 9 and 10",
            "GL_SOME_NAME: GLenum = ABCDEF",
            "load xmm, xmm, ymm",
            "@param the_name of a parameter",
            "Это предложение на другом языке.",
        ] {
            check(markdown, &[]);
        }
    }

    #[test]
    fn a_list_of_links_is_dropped_but_a_link_in_a_sentence_stays() {
        check("- [The guide of all guides](a)\n- [The book for the rest](b) (new)\n- <https://example.com/a/b/c>", &[]);
        check("See the [manual](a.html) for everything else.", &["See the manual for everything else."]);
    }

    #[test]
    fn code_and_links_in_a_line_stay_as_their_text() {
        check(
            "Calls `f(x)` of [`Vec::push`], [the trait][Trait] and [Self::run()], <b>not</b> the other.",
            &["Calls f(x) of Vec::push, the trait and Self::run(), not the other."],
        );
    }

    #[test]
    fn brackets_that_are_no_links_stay() {
        let text = "A probability that lies in [0, 1) is found at a[i] of the [usual kind] of table.";
        check(text, &[text]);
    }

    #[test]
    fn a_sentence_without_function_words_needs_plain_words() {
        check("Extracts raw sockets.", &["Extracts raw sockets."]);
        check("Extracts raw_sockets, sockets.", &[]);
    }

    #[test]
    fn the_first_paragraph_leads_whatever_becomes_of_it() {
        let leads = |markdown| prose(markdown).into_iter().map(|prose| prose.leads).collect::<Vec<_>>();
        assert_eq!(leads("# Title of it\n\nThe first one here.\n\nThe second one here."), [true, false]);
        assert_eq!(leads("Too short.\n\nThe second one here."), [false]);
        assert_eq!(leads("- A list of items.\n\nThe second one here."), [false, false]);
    }

    #[test]
    fn a_text_knows_its_line() {
        let lines: Vec<_> =
            prose("# Title\n\nThe first\none here.\n\n- an item\n- of a list\n\n```\ncode\n```\nThe last one here.")
                .into_iter()
                .map(|prose| (prose.line, prose.text))
                .collect();
        assert_eq!(
            lines,
            [(2, "The first one here.".into()), (6, "of a list".into()), (11, "The last one here.".into())]
        );
    }

    #[test]
    fn deep_markdown_needs_little_stack() {
        for unit in [">", "- ", "[", "*a ", "(", "![", "<a>", "`"] {
            prose(&unit.repeat(5_000));
        }
    }
}
