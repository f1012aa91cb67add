//! `burnformer translate`: texts in another language.

use std::path::Path;

use anyhow::Result;
use burnformer::core::files::NewFolder;
use burnformer::data::readers::Groups;
use burnformer::models::GenerationConfig;
use burnformer::tasks::{Translation, TranslationOptions, Translator};
use burnformer::train::write_attention;
use serde::Serialize;

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

pub(super) fn run(args: &TranslateArgs, context: &Context) -> Result<Outcome> {
    let pictures = args.attention.as_deref().map(NewFolder::create).transpose()?;
    let device = args.device.device.open()?;
    let translator = Translator::load(&args.folder, &device)?.with_batch_size(args.batch_size as usize);
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
    /// Translates line by line.
    fn lines(&mut self) -> Result<()> {
        let encoding = self.args.encoding.encoding;
        let mut groups = Groups::read(move || lines::of_stdin(encoding))?;
        loop {
            let group = groups.next(TOGETHER.max(self.args.batch_size as usize), &self.context.interrupt)?;
            if group.is_empty() {
                return Ok(());
            }
            self.answer(&group)?;
        }
    }

    fn answer(&mut self, texts: &[String]) -> Result<()> {
        let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
        let options = TranslationOptions {
            generation: self.generation.clone(),
            seed: self.args.seed.seed,
            first_number: self.n_texts,
            interrupt: Some(&self.context.interrupt),
        };
        let answers = self.translator.translate(&asked, &options)?;
        let mut out = Vec::with_capacity(texts.len());
        for (number, (text, translations)) in (self.n_texts + 1..).zip(asked.into_iter().zip(&answers)) {
            let length = translations.first().map_or(0, |best| best.source_length);
            let max_length = self.translator.max_length();
            let is_cut = length > max_length;
            if is_cut {
                let what = format_args!(
                    "text {number} has more than the {max_length} tokens that the model takes: the rest is cut off"
                );
                self.context.terminal.warn(what);
            }
            if let (Some(folder), Some(best)) = (self.pictures, translations.first()) {
                write_attention(folder, &format!("{number:05}"), &self.translator.attention(text, best)?)?;
            }
            match self.args.report.format {
                ReportFormat::Json => out.push(serde_json::to_string(&Line { text, is_cut, translations })?),
                ReportFormat::Text if self.generation.n_best == 1 => {
                    out.push(translations.first().map_or_else(String::new, |best| one_line(&best.text)));
                }
                ReportFormat::Text => {
                    let line = |it: &Translation| format!("{number}\t{:.4}\t{}", it.score, one_line(&it.text));
                    out.extend(translations.iter().map(line));
                }
            }
        }
        self.n_texts += texts.len() as u64;
        self.context.terminal.print_lines(&out)
    }
}
