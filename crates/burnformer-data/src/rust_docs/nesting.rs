//! How deeply the syntax tree of a token stream can be nested, before anything recursive looks at it.

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The line of the first token at which the syntax tree may be deeper than `limit`, and that depth.
///
/// Brackets nest, but so do `!!!x`, `a + b + c` and `if .. else if ..`, one level for each token at most. What a comma, a
/// semicolon or the next item separates does not. So the depth is at most the number of tokens of the current run, plus
/// those of the runs around it.
pub(super) fn too_deep(tokens: TokenStream, limit: usize) -> Option<(u64, usize)> {
    let mut open = Vec::new();
    let mut level = Level::new(tokens, 0);
    loop {
        let Some(token) = level.tokens.next() else {
            level = open.pop()?;
            continue;
        };
        level.step(&token);
        let depth = level.around + level.run;
        if depth > limit {
            return Some((token.span().start().line as u64, depth));
        }
        if let TokenTree::Group(group) = token {
            open.push(level);
            level = Level::new(group.stream(), depth);
        }
    }
}

/// The inside of a pair of brackets.
struct Level {
    tokens: IntoIter,
    /// The depth of the bracket itself.
    around: usize,
    /// Tokens since the last separator.
    run: usize,
    /// `true` behind `{ .. }`, where the next item may begin.
    behind_block: bool,
}

impl Level {
    fn new(tokens: TokenStream, around: usize) -> Self {
        Self { tokens: tokens.into_iter(), around, run: 0, behind_block: false }
    }

    fn step(&mut self, token: &TokenTree) {
        let separates = match token {
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => true,
            TokenTree::Punct(punct) => self.behind_block && punct.as_char() == '#',
            TokenTree::Ident(ident) => self.behind_block && ident != "else" && ident != "as",
            TokenTree::Literal(_) => self.behind_block,
            TokenTree::Group(_) => false,
        };
        self.run = if separates { 1 } else { self.run + 1 };
        self.behind_block = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, deep: bool) {
        let found = too_deep(source.parse().unwrap(), 100);
        assert_eq!(found.is_some(), deep, "{found:?} in {}", &source[..60.min(source.len())]);
    }

    #[test]
    fn what_a_parser_descends_into_is_deep() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("mod m {", "}"), ("f(g(", "))")] {
            check(&(open.repeat(101) + &close.repeat(101)), true);
        }
        check(&format!("const X: u8 = {}x;", "!".repeat(101)), true);
        check(&format!("const X: u8 = x{};", " + x".repeat(101)), true);
        check(&format!("fn f() {{ if a {{}} {} }}", "else if a {} ".repeat(101)), true);
        check(&format!("fn f() {{ x{} }}", ".g()".repeat(101)), true);
    }

    #[test]
    fn what_stands_side_by_side_is_not() {
        check(&"struct S { a: u8, b: u8 } ".repeat(101), false);
        check(&"fn f() { g(); h() } #[inline] pub fn i() {} ".repeat(101), false);
        check(&format!("const X: [u8; 1000] = [{}];", "1, ".repeat(1000)), false);
        check(&format!("fn f() {{ match x {{ {} }} }}", "1 => {} A => {} ".repeat(1000)), false);
    }

    #[test]
    fn the_line_is_that_of_the_token_too_many() {
        let source = format!("const X: u8 =\n{}x;", "!\n".repeat(200));
        // The first line has five tokens, each of the others one.
        assert_eq!(too_deep(source.parse().unwrap(), 100), Some((97, 101)));
    }
}
