//! Progress bars, removed when their stage ends.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use burnformer_core::printable;
use burnformer_core::progress::{Progress, Stage, Unit};
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::amount::Amount;
use crate::patient::Patient;

/// The most pictures in a second.
const RATE: u8 = 20;

/// Time between two pictures while nothing else happens, so that people see that the program lives.
const TICK: Duration = Duration::from_millis(200);

/// Progress bars on standard error, one below the other. A clone draws in the same place.
#[derive(Clone, Debug)]
pub struct Bars(MultiProgress);

impl Default for Bars {
    fn default() -> Self {
        let screen = ProgressDrawTarget::term_like_with_hz(Box::new(Patient(Term::buffered_stderr())), RATE);
        Self(MultiProgress::with_draw_target(screen))
    }
}

impl Bars {
    /// Runs `write`, which writes to the terminal, while no bar is in the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Progress for Bars {
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
        Box::new(Bar::start(&self.0, name, total, unit))
    }
}

/// A stage shown as a bar.
struct Bar(ProgressBar);

impl Bar {
    /// A new bar below those there are.
    fn start(bars: &MultiProgress, name: &str, total: Option<u64>, unit: Unit) -> Self {
        let bar = bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style(total.is_some(), unit));
        bar.set_prefix(printable(name).into_owned());
        // The library's thread for it panics where the system has none; then the bar moves with the work alone.
        if thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok()) {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }
}

fn style(has_total: bool, unit: Unit) -> ProgressStyle {
    let template =
        if has_total { "{prefix} {bar:24} {amount} {wide_msg}" } else { "{prefix} {spinner} {amount} {wide_msg}" };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸ ").with_key("amount", move |state: &ProgressState, out: &mut dyn Write| {
        let amount = Amount { done: state.pos(), total: state.len(), unit, rate: state.per_sec() };
        let _ = write!(out, "{amount}");
    })
}

impl Stage for Bar {
    fn advance(&self, count: u64) {
        self.0.inc(count);
    }

    fn skip(&self, count: u64) {
        self.0.inc(count);
        self.0.reset_eta();
    }

    fn message(&self, text: &str) {
        self.0.set_message(printable(text).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A screen that remembers what was written since it was last cleared, or is gone.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>, bool);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            self.flush()
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            self.flush()
        }
        fn flush(&self) -> io::Result<()> {
            if self.1 { Err(io::Error::other("no terminal")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_bar_shows_its_stage_and_goes_with_it() {
        let screen = Screen::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let bar = Bar::start(&bars, "train", Some(4), Unit::Items("updates"));
        bar.0.disable_steady_tick();
        bar.advance(1);
        bar.message("loss 2.5\u{7}");
        bar.0.force_draw();
        let shown = screen.0.lock().unwrap().clone();
        for part in ["train ━━━━━━╸", "1 of 4 updates", r"loss 2.5\u0007"] {
            assert!(shown.contains(part), "{shown:?}");
        }
        drop(bar);
        assert_eq!(screen.0.lock().unwrap().trim(), "");
    }

    #[test]
    fn bars_on_a_terminal_that_went_away_do_no_harm() {
        let gone = Screen(Arc::default(), true);
        let screen = ProgressDrawTarget::term_like(Box::new(Patient(gone)));
        let bars = Bars(MultiProgress::with_draw_target(screen));
        let bar = bars.stage("train", Some(4), Unit::Items("updates"));
        bar.advance(1);
        assert_eq!(bars.suspend(|| 7), 7);
    }
}
