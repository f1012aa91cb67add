//! `burnformer translate`: texts in another language.

use std::path::Path;

use anyhow::{Error, Result};
use burnformer::core::files::NewFolder;
use burnformer::data::readers::Groups;
use burnformer::models::GenerationConfig;
use burnformer::tasks::{Translation, TranslationOptions, Translator};
use burnformer::train::write_attention;
use serde::{Deserialize, Serialize};

use super::texts::one_line;
use super::{Outcome, lines};
use crate::args::{ReportFormat, TranslateArgs};
use crate::context::Context;
use crate::terminal::ClosedPipe;

/// How many lines are translated together: enough to put those of similar length together, few enough to answer soon.
const TOGETHER: usize = 1024;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    /// `true` if the text is too long for the model, which has not seen its end.
    is_cut: bool,
    translations: &'a [Translation],
}

/// What is said of a text.
#[derive(Serialize, Deserialize)]
struct Answer {
    is_cut: bool,
    lines: Vec<String>,
    /// The tokens of the best translation, if it gets a picture.
    tokens: Option<Vec<u32>>,
}

pub(super) fn run(args: &TranslateArgs, context: &Context) -> Result<Outcome> {
    let pictures = args.attention.as_deref().filter(|_| context.is_first()).map(NewFolder::create).transpose();
    let pictures = context.agreed(pictures.map_err(Error::from))?;
    let device = context.open(&args.device)?;
    let translator = Translator::load(&args.folder, &device)?
        .prepared(context.weights(&args.weights))?
        .with_batch_size(args.batch_size as usize);
    let file = translator.generation_file();
    let generation = args.generation.settings(file, GenerationConfig::default(), args.n_best, context)?;
    let mut work =
        Work { args, context, translator, generation, pictures: pictures.as_ref().map(NewFolder::path), n_texts: 0 };
    let done = if args.texts.is_empty() { work.lines() } else { work.answer(&args.texts) };
    // Who reads no further has the pictures of what was answered.
    let is_closed = done.as_ref().is_err_and(anyhow::Error::is::<ClosedPipe>);
    if let Some(folder) = pictures.filter(|_| done.is_ok() || is_closed) {
        folder.commit()?;
    }
    done.map(|()| Outcome::Done)
}

struct Work<'a> {
    args: &'a TranslateArgs,
    context: &'a Context,
    translator: Translator,
    generation: GenerationConfig,
    /// Where pictures go.
    pictures: Option<&'a Path>,
    /// How many texts were translated.
    n_texts: u64,
}

impl Work<'_> {
    /// Translates line by line, what the first process reads.
    fn lines(&mut self) -> Result<()> {
        let (context, encoding) = (self.context, self.args.encoding.encoding);
        let groups = context.is_first().then(|| Groups::read(move || lines::of_stdin(encoding))).transpose();
        let mut groups = context.agreed(groups.map_err(Error::from))?;
        let together = TOGETHER.max(self.args.batch_size as usize);
        loop {
            let next = || groups.as_mut().map_or(Ok(Vec::new()), |it| it.next(together, &context.interrupt));
            let group: Vec<String> = context.first(next)?;
            if group.is_empty() {
                return Ok(());
            }
            self.answer(&group)?;
        }
    }

    /// Translates `texts`, of which each process has a share; the first says the answers.
    fn answer(&mut self, texts: &[String]) -> Result<()> {
        let of_ranks = self.context.agree(self.share(texts))?;
        let answers = (0..texts.len()).filter_map(|text| of_ranks.iter().find_map(|of_rank| of_rank[text].as_ref()));
        let said = if self.context.is_first() { self.say(texts, answers) } else { Ok(()) };
        self.context.agreed(said)?;
        self.n_texts += texts.len() as u64;
        Ok(())
    }

    /// The answers to the texts that this process has a share in.
    fn share(&self, texts: &[String]) -> Result<Vec<Option<Answer>>> {
        let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
        let options = TranslationOptions {
            generation: self.generation.clone(),
            seed: self.args.seed.seed,
            first_number: self.n_texts,
            interrupt: Some(&self.context.interrupt),
        };
        let place = (self.context.collective.rank(), self.context.collective.size());
        let translated = self.translator.translate_share(&asked, &options, place)?;
        let numbered = (self.n_texts + 1..).zip(asked).zip(translated);
        numbered.map(|((number, text), found)| found.map(|found| self.said(number, text, found)).transpose()).collect()
    }

    /// How the translations of a text are said.
    fn said(&self, number: u64, text: &str, mut translations: Vec<Translation>) -> Result<Answer> {
        let length = translations.first().map_or(0, |best| best.source_length);
        let is_cut = length > self.translator.max_length();
        let lines = match self.args.report.format {
            ReportFormat::Json => {
                vec![serde_json::to_string(&Line { text, is_cut, translations: &translations })?]
            }
            ReportFormat::Text if self.generation.n_best == 1 => {
                vec![translations.first().map_or_else(String::new, |best| one_line(&best.text))]
            }
            ReportFormat::Text => {
                let line = |it: &Translation| format!("{number}\t{:.4}\t{}", it.score, one_line(&it.text));
                translations.iter().map(line).collect()
            }
        };
        let has_picture = self.args.attention.is_some() && !translations.is_empty();
        Ok(Answer { is_cut, lines, tokens: has_picture.then(|| translations.swap_remove(0).tokens) })
    }

    /// Says the answers to `texts`, and draws their pictures.
    fn say<'a>(&self, texts: &[String], answers: impl Iterator<Item = &'a Answer>) -> Result<()> {
        let mut out = Vec::with_capacity(texts.len());
        for (number, (text, answer)) in (self.n_texts + 1..).zip(texts.iter().zip(answers)) {
            if answer.is_cut {
                let max_length = self.translator.max_length();
                let what = format_args!(
                    "text {number} has more than the {max_length} tokens that the model takes: the rest is cut off"
                );
                self.context.terminal.warn(what);
            }
            if let (Some(folder), Some(tokens)) = (self.pictures, &answer.tokens) {
                let best = Translation { tokens: tokens.clone(), ..Translation::empty() };
                write_attention(folder, &format!("{number:05}"), &self.translator.attention(text, &best)?)?;
            }
            out.extend(answer.lines.iter().map(String::as_str));
        }
        self.context.terminal.print_lines(&out)
    }
}
