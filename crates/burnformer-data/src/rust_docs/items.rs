//! Doc comments of a Rust file, and what they document.

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, File, Lit, LitStr, Meta};

use super::error::BadFileReason;
use super::nesting::too_deep;

/// The levels of syntax that a thread with [`STACK_BYTES`] of stack can parse.
const MAX_DEPTH: usize = 4_000;

/// The stack that a thread needs for [`comments`]. The system hands it out page by page, as it is used.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// What a doc comment documents: the keyword its author wrote next, or `field`, or `variant`.
///
/// A method is an `fn`, an associated type a `type`, a crate is a `mod`, and what `macro_rules!` defines a `macro`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the words of the language")]
pub enum ItemKind {
    Const,
    Enum,
    Field,
    Fn,
    Impl,
    Macro,
    Mod,
    Static,
    Struct,
    Trait,
    Type,
    Union,
    Variant,
}

impl ItemKind {
    /// Its name as a label: `fn`, `struct`, `field`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Enum => "enum",
            Self::Field => "field",
            Self::Fn => "fn",
            Self::Impl => "impl",
            Self::Macro => "macro",
            Self::Mod => "mod",
            Self::Static => "static",
            Self::Struct => "struct",
            Self::Trait => "trait",
            Self::Type => "type",
            Self::Union => "union",
            Self::Variant => "variant",
        }
    }
}

/// All that is said about one item, as Markdown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) text: String,
    /// For each line of the text the line of the file, counted from one.
    pub(super) lines: Vec<u64>,
    /// `None` for what has no kind, such as a `use`.
    pub(super) kind: Option<ItemKind>,
}

/// The doc comments of a file, those of an item before those of what is in it.
///
/// Needs [`STACK_BYTES`] of stack.
pub(super) fn comments(source: &str) -> Result<Vec<Comment>, BadFileReason> {
    let comments = parse(source).map(|file| {
        let mut collector = Collector::default();
        collector.visit_file(&file);
        collector.0
    });
    // Otherwise the thread keeps the text of every file that it has seen.
    proc_macro2::extra::invalidate_current_thread_spans();
    comments
}

fn parse(source: &str) -> Result<File, BadFileReason> {
    let failed = |error: syn::Error| BadFileReason::Syntax {
        line: error.span().start().line as u64,
        message: error.to_string(),
    };
    let tokens: TokenStream = without_shebang(source).parse().map_err(|error| failed(syn::Error::from(error)))?;
    if let Some((line, depth)) = too_deep(tokens.clone(), MAX_DEPTH) {
        return Err(BadFileReason::TooDeep { line, depth, limit: MAX_DEPTH });
    }
    syn::parse2(tokens).map_err(failed)
}

/// The source from the end of its first line on if that names an interpreter.
fn without_shebang(source: &str) -> &str {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    match source.strip_prefix("#!") {
        Some(rest) if !rest.trim_start().starts_with('[') => rest.find('\n').map_or("", |end| &rest[end..]),
        _ => source,
    }
}

#[derive(Default)]
struct Collector(Vec<Comment>);

impl Collector {
    fn collect(&mut self, attributes: &[Attribute], kind: Option<ItemKind>) {
        let (mut comment, mut sugared) = (Comment { kind, ..Comment::default() }, Vec::new());
        for attribute in attributes {
            let Some((literal, is_sugared)) = doc(attribute) else { continue };
            let (first, last) = (literal.span().start().line, literal.span().end().line);
            let text = literal.value();
            let text = if is_sugared && first < last { without_stars(&text) } else { text };
            for (offset, line) in text.lines().enumerate() {
                comment.lines.push((first + offset).min(last) as u64);
                sugared.push((line.to_owned(), is_sugared));
            }
            if text.is_empty() {
                comment.lines.push(first as u64);
                sugared.push((text, is_sugared));
            }
        }
        for is_sugared in [true, false] {
            unindent(sugared.iter_mut().filter(|(_, kind)| *kind == is_sugared).map(|(line, _)| line));
        }
        comment.text = sugared.into_iter().map(|(line, _)| line + "\n").collect();
        if !comment.text.trim().is_empty() {
            self.0.push(comment);
        }
    }
}

/// The text of a doc comment or of `#[doc = ".."]`, and `true` if it is a comment.
fn doc(attribute: &Attribute) -> Option<(&LitStr, bool)> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else { return None };
    // The tokens that a comment is turned into all stand where the comment does.
    meta.path.is_ident("doc").then(|| (text, attribute.pound_token.span.start() == text.span().start()))
}

/// A block comment without the column of stars that may run along its left side.
fn without_stars(text: &str) -> String {
    let inner = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    if !inner.clone().all(|line| line.trim_start().starts_with('*')) {
        return text.to_owned();
    }
    let mut lines: Vec<_> = text.lines().take(1).collect();
    lines.extend(text.lines().skip(1).map(|line| line.trim_start().strip_prefix('*').unwrap_or_default()));
    lines.join("\n")
}

/// Removes the indentation that all lines share.
fn unindent<'a>(lines: impl Iterator<Item = &'a mut String>) {
    let mut lines: Vec<_> = lines.collect();
    let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| indentation(line)).min();
    for line in &mut lines {
        line.drain(..shared.unwrap_or_default().min(indentation(line)));
    }
}

/// The bytes of white space that a line begins with.
fn indentation(line: &str) -> usize {
    line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// The visits of everything that has doc comments of its own.
macro_rules! documented {
    ($($visit:ident, $node:ident => $kind:expr;)*) => {
        impl<'ast> Visit<'ast> for Collector {
            $(fn $visit(&mut self, node: &'ast syn::$node) {
                self.collect(&node.attrs, $kind);
                visit::$visit(self, node);
            })*

            fn visit_item_macro(&mut self, node: &'ast syn::ItemMacro) {
                self.collect(&node.attrs, node.ident.as_ref().map(|_| ItemKind::Macro));
            }
        }
    };
}

documented! {
    visit_file, File => Some(ItemKind::Mod);
    visit_item_mod, ItemMod => Some(ItemKind::Mod);
    visit_item_use, ItemUse => None;
    visit_item_extern_crate, ItemExternCrate => None;
    visit_item_foreign_mod, ItemForeignMod => None;
    visit_item_fn, ItemFn => Some(ItemKind::Fn);
    visit_impl_item_fn, ImplItemFn => Some(ItemKind::Fn);
    visit_trait_item_fn, TraitItemFn => Some(ItemKind::Fn);
    visit_foreign_item_fn, ForeignItemFn => Some(ItemKind::Fn);
    visit_item_struct, ItemStruct => Some(ItemKind::Struct);
    visit_item_enum, ItemEnum => Some(ItemKind::Enum);
    visit_item_union, ItemUnion => Some(ItemKind::Union);
    visit_field, Field => Some(ItemKind::Field);
    visit_variant, Variant => Some(ItemKind::Variant);
    visit_item_trait, ItemTrait => Some(ItemKind::Trait);
    visit_item_trait_alias, ItemTraitAlias => Some(ItemKind::Trait);
    visit_item_impl, ItemImpl => Some(ItemKind::Impl);
    visit_item_const, ItemConst => Some(ItemKind::Const);
    visit_impl_item_const, ImplItemConst => Some(ItemKind::Const);
    visit_trait_item_const, TraitItemConst => Some(ItemKind::Const);
    visit_item_static, ItemStatic => Some(ItemKind::Static);
    visit_foreign_item_static, ForeignItemStatic => Some(ItemKind::Static);
    visit_item_type, ItemType => Some(ItemKind::Type);
    visit_impl_item_type, ImplItemType => Some(ItemKind::Type);
    visit_trait_item_type, TraitItemType => Some(ItemKind::Type);
    visit_foreign_item_type, ForeignItemType => Some(ItemKind::Type);
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// (line, kind, text) of every comment.
    fn read(source: &str) -> Vec<(u64, Option<ItemKind>, String)> {
        let comments = comments(source).unwrap().into_iter();
        comments.map(|comment| (comment.lines[0], comment.kind, comment.text.trim_end().to_owned())).collect()
    }

    fn check_text(source: &str, expected: &str) {
        assert_eq!(read(source), [(1, Some(ItemKind::Struct), expected.to_owned())], "in {source:?}");
    }

    #[test]
    fn every_way_to_write_documentation_is_read() {
        check_text("/// One line.\nstruct S;", "One line.");
        check_text("///One line.\n///  Another.\nstruct S;", "One line.\n  Another.");
        check_text("/// One line.\n///\n///     Code.\nstruct S;", "One line.\n\n    Code.");
        check_text("/** One line. */ struct S;", "One line.");
        check_text("/** One line.\n  * Another.\n  *\n  *   More.\n  */ struct S;", "One line.\nAnother.\n\n  More.");
        check_text("/**\n * - a list\n */ struct S;", "\n- a list");
        check_text("/**\n    One line.\n\n    Another.\n*/ struct S;", "\nOne line.\n\nAnother.");
        check_text("#[doc = \" One line.\"] struct S;", "One line.");
        check_text("#[doc = r\"One line.\nAnother.\"] struct S;", "One line.\nAnother.");
        check_text("/// One line.\n#[doc = \"Another.\"]\n#[derive(Debug)]\nstruct S;", "One line.\nAnother.");
    }

    #[test]
    fn what_is_no_documentation_is_not_read() {
        let source = "#![doc = include_str!(\"../README.md\")]\n#![doc(html_root_url = \"a\")]\n// A comment.\n//// Another.\n\
                      /*** Another. */\n/* Another. */\n#[doc(hidden)] #[doc = concat!(\"a\", \"b\")] ///\n struct S;\n\
                      macro_rules! m { () => { /** Not yet there. */ struct T; }; }\nm! { /// Not yet there.\n struct U; }";
        assert_eq!(read(source), []);
    }

    #[test]
    fn every_item_has_its_kind_and_line() {
        let source = "\
//! mod 1

/// const 3
const A: u8 = 1;
/// static 5
static B: u8 = 1;
/// type 7
type C = u8;
/// macro 9
macro_rules! d { () => {}; }
/// union 11
union E {
    /// field 13
    e: u8,
}
/// mod 16
mod inner {
    //! mod 18, which goes on.
    /// fn 19
    fn f() {
        /// struct 21
        struct InAFunction;
    }
}
/// enum 25
enum G {
    /// variant 27
    A(
        /// field 29
        u8,
    ),
    /// variant 32
    B {
        /// field 34
        b: u8,
    },
}
/// trait 38
trait H {
    /// const 40
    const A: u8;
    /// type 42
    type B;
    /// fn 44
    fn c();
}
/// impl 47
impl H for G {
    /// const 49
    const A: u8 = 1;
    /// type 51
    type B = u8;
    /// fn 53
    fn c() {}
}
extern \"C\" {
    /// fn 57
    fn i();
    /// static 59
    static J: u8;
}
/// none 62
pub use self::inner as other;
/// none 64
m! {}
";
        let found = read(source);
        for (line, kind, text) in &found {
            let kind = kind.map_or("none", ItemKind::label);
            assert!(text.starts_with(&format!("{kind} {line}")), "`{text}` is a {kind} in line {line}");
        }
        assert_eq!(found.len(), source.lines().filter(|line| line.contains("//")).count() - 1);
    }

    #[test]
    fn an_interpreter_and_a_byte_order_mark_are_passed_over() {
        assert_eq!(read("\u{feff}#!/usr/bin/env run\n//! Text.")[0].0, 2);
        assert_eq!(read("#![allow(dead_code)]\n//! Text.")[0].0, 2);
        assert_eq!(read("#!/usr/bin/env run"), []);
    }

    #[test]
    fn what_is_no_rust_is_refused_with_its_line() {
        for source in ["fn f() {}\nfn g( {}", "fn f() {}\nfn 1() {}", "fn f() {}\n\"open"] {
            let error = comments(source).unwrap_err();
            assert!(matches!(error, BadFileReason::Syntax { line: 2, .. }), "{error:?} in {source:?}");
        }
    }

    #[test]
    fn the_deepest_source_that_is_read_needs_half_the_stack() {
        let check = |start: &'static str, open: &str, inner: &str, close: &str, tokens: usize| {
            let end = if start.ends_with('=') { ";" } else { "}" };
            let source = |depth| format!("{start} {}{inner}{}{end}", open.repeat(depth), close.repeat(depth));
            let (fits, deeper) = (source((MAX_DEPTH - 10) / tokens), source(300_000));
            let read = move || (comments(&fits), comments(&deeper));
            let thread = thread::Builder::new().stack_size(STACK_BYTES / 2).spawn(read).unwrap();
            let (fits, deeper) = thread.join().unwrap();
            assert_eq!(fits, Ok(Vec::new()), "of {open}{inner}{close}");
            assert!(matches!(deeper, Err(BadFileReason::TooDeep { limit: MAX_DEPTH, .. })), "{deeper:?} of {open}");
        };
        let body = "fn f() {";
        check(body, "(", "x", ")", 1);
        check(body, "[", "x", "]", 1);
        check(body, "{", "x", "}", 1);
        check(body, "!", "x", "", 1);
        check(body, "x = ", "x", "", 2);
        check(body, "", "x", " + x", 2);
        check(body, "", "x", " as u8", 2);
        check(body, "|| ", "x", "", 2);
        check(body, "return ", "x", "", 1);
        check(body, "if x {} else ", "{}", "", 4);
        check(body, "", "x", ".f()", 3);
        check(body, "", "x", "?", 1);
        check(body, "match x { _ => ", "x", "}", 6);
        check(body, "fn f() {", "", "}", 4);
        check("mod m {", "mod m {", "", "}", 3);
        check("type T =", "&", "u8", "", 1);
        check("type T =", "(", "u8", ")", 1);
        check("type T =", "fn() -> ", "u8", "", 4);
        check("type T =", "V<", "u8", ">", 3);
    }
}
