//! AppArmor profiles as lists of rules: enough of apparmor.d(5) to see what a rule says of files,
//! capabilities and sockets. No include is followed, so there are no circles.

mod object;
mod rule;
mod syntax;

use std::ops::Range;

use super::{Form, Input, Node, ParseError};

pub(super) use object::resource;
pub(crate) use rule::Rule;
use syntax::End;
pub(super) use syntax::has_profile;

/// Most rules of a file: some are compared with all others. The largest profile of a distribution has about a
/// thousand.
const MAX_RULES: usize = 10_000;

/// An AppArmor profile as it stands in its file; of text, all of it.
#[derive(Clone, Debug)]
pub struct AppArmor {
    pub(crate) form: Form,
    /// What it is called: by its object, its key or its first head.
    pub(crate) name: Option<String>,
    pub(crate) statements: Vec<Statement>,
    /// The object around it.
    pub(crate) object: Option<Node>,
}

impl AppArmor {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// When it has more rules than [`MAX_RULES`], is not AppArmor's language, or lacks a comma or a brace.
    pub(crate) fn from_text(input: &Input) -> Result<Self, ParseError> {
        let reader = scan(input.text());
        let statements = &reader.statements;
        if let Some(one_more) = statements.get(MAX_RULES) {
            let what = format!("more than {MAX_RULES} rules (read as {})", Form::AppArmor);
            return Err(input.malformed(one_more.span.start, what));
        }
        syntax::check(input, &reader)?;
        let statements = reader.statements;
        let first = statements.iter().find(|it| it.is_head);
        Ok(Self {
            form: Form::AppArmor,
            name: first.map(|head| head.profile_name().to_owned()),
            statements,
            object: None,
        })
    }

    pub(super) fn named(self, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..self
        }
    }

    /// Puts each place where `place` says that it is.
    pub(super) fn moved(mut self, place: impl Fn(&Range<usize>) -> Range<usize>) -> Self {
        for statement in &mut self.statements {
            statement.span = place(&statement.span);
        }
        self
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> usize {
        let begins = self.statements.iter().map(|it| it.span.start);
        begins.min().unwrap_or_default()
    }
}

/// Whether the first line that says something begins as AppArmor text does (apparmor.d(5)).
pub(super) fn is_text(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| {
        let is_include = line.starts_with("#include") || line.starts_with("include ");
        !line.is_empty() && (is_include || !line.starts_with('#'))
    });
    let Some(first) = first else {
        return false;
    };
    let word = first.split([' ', '\t']).next().unwrap_or_default();
    matches!(word, "abi" | "include" | "#include" | "alias" | "profile")
        || first.starts_with("@{")
        || (first.starts_with(['/', '^', '"', '$']) || word == "hat") && first.ends_with('{')
        || is_rule_line(first)
}

/// Whether a line is a whole rule, as parts begin that profiles include.
fn is_rule_line(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let rule = line.strip_suffix(',').map(|text| Statement {
        span: 0..0,
        words: words(text),
        profile: 0,
        is_head: false,
        outer: 0,
    });
    rule.is_some_and(|rule| syntax::is_known(&rule))
}

/// A rule, or the head of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) span: Range<usize>,
    /// Its words; a text in quotes is one, without them.
    pub(crate) words: Vec<String>,
    /// The profile it is in, counted from 1; 0 for none.
    pub(crate) profile: usize,
    /// Whether it opens a profile.
    pub(crate) is_head: bool,
    /// The profile around the one that it opens; 0 for none.
    pub(crate) outer: usize,
}

impl Statement {
    /// What the profile is called that it opens.
    pub(crate) fn profile_name(&self) -> &str {
        let words = match self.words.split_first() {
            Some((first, rest)) if matches!(first.as_str(), "profile" | "hat") => rest,
            _ => &self.words,
        };
        words.first().map_or("", String::as_str)
    }
}

/// The statements of a text, in order.
fn read(text: &str) -> Vec<Statement> {
    scan(text).statements
}

fn scan(text: &str) -> Reader<'_> {
    let mut reader = Reader {
        text,
        statements: Vec::new(),
        ends: Vec::new(),
        open: Vec::new(),
        profiles: 0,
        begin: None,
        stray: None,
    };
    reader.run();
    reader
}

struct Reader<'text> {
    text: &'text str,
    statements: Vec<Statement>,
    /// What ends each of them.
    ends: Vec<End>,
    open: Vec<usize>,
    profiles: usize,
    begin: Option<usize>,
    /// The first brace that closes nothing.
    stray: Option<usize>,
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut before = ' ';
        let (mut quoted, mut escaped, mut comment) = (false, false, false);
        // Brackets in which a comma separates nothing.
        let mut depth = 0_usize;
        for (at, c) in self.text.char_indices() {
            comment &= c != '\n';
            if comment || escaped {
                escaped = false;
                before = c;
                continue;
            }
            let mut is_end = true;
            match c {
                '\\' => (escaped, is_end) = (true, false),
                '"' => (quoted, is_end) = (!quoted, false),
                _ if quoted => is_end = false,
                '#' if self.is_comment(at, before) => comment = true,
                '\n' if self.ends_at_line(at) => self.end(at, End::Line),
                '{' if depth == 0 && self.is_brace(at, before) => self.end(at, End::Brace),
                '}' if depth == 0 => self.close(at),
                ',' if depth == 0 => self.end(at, End::Comma),
                '{' | '(' | '[' => (depth, is_end) = (depth + 1, false),
                '}' | ')' | ']' => (depth, is_end) = (depth.saturating_sub(1), false),
                _ => is_end = false,
            }
            if !is_end && self.begin.is_none() && !c.is_whitespace() {
                self.begin = Some(at);
            }
            before = c;
        }
        let at = self.text.len();
        let end = if self.ends_at_line(at) {
            End::Line
        } else {
            End::None
        };
        self.end(at, end);
    }

    fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    /// `#include` is none.
    fn is_comment(&self, at: usize, before: char) -> bool {
        (before.is_whitespace() || self.begin.is_none()) && !self.rest(at).starts_with("#include")
    }

    /// Whether a brace opens a block, and no alternation of a path.
    fn is_brace(&self, at: usize, before: char) -> bool {
        let next = self.rest(at).chars().nth(1);
        self.begin.is_some()
            && (before.is_whitespace() || before == ')')
            && next.is_none_or(|next| next.is_whitespace() || next == '#' || next == '}')
    }

    /// Whether the statement so far is one that ends with its line, and without a comma.
    fn ends_at_line(&self, at: usize) -> bool {
        let statement = self.begin.and_then(|begin| self.text.get(begin..at));
        statement.is_some_and(|it| {
            it.starts_with("#include") || it.starts_with("include") || syntax::is_assignment(it)
        })
    }

    fn close(&mut self, at: usize) {
        self.end(at, End::None);
        if self.open.pop().is_none() && self.stray.is_none() {
            self.stray = Some(at);
        }
    }

    fn end(&mut self, at: usize, how: End) {
        let begin = self.begin.take();
        let is_head = how == End::Brace;
        let outer = self.open.last().copied().unwrap_or_default();
        if is_head {
            self.profiles += 1;
            self.open.push(self.profiles);
        }
        let Some(text) = begin.and_then(|begin| self.text.get(begin..at)) else {
            return;
        };
        let begin = begin.unwrap_or(at);
        self.ends.push(how);
        self.statements.push(Statement {
            span: begin..begin + text.trim_end().len(),
            words: words(text),
            profile: self.open.last().copied().unwrap_or_default(),
            is_head,
            outer: if is_head { outer } else { 0 },
        });
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for line in text.lines() {
        // A comment within a rule.
        let line = match line.find(" #") {
            Some(at) if !quoted => line.get(..at).unwrap_or(line),
            _ => line,
        };
        for c in line.chars().chain([' ']) {
            match c {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                c => word.push(c),
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules_with_profiles_and_positions() {
        let text = "# c, d\nabi <abi/3.0>,\n#include <tunables/global>\nprofile a flags=(complain, x) {\n  /etc/{a,b} r,\n  \"/a b\" w, # no\n  owner @{HOME}/** rw,\n  ^hat {\n    capability,\n  }\n}\n";
        let all = read(text);
        let shown: Vec<_> = all
            .iter()
            .map(|it| (it.words.join(" "), it.profile, it.is_head))
            .collect();
        let expected = [
            ("abi <abi/3.0>", 0, false),
            ("#include <tunables/global>", 0, false),
            ("profile a flags=(complain, x)", 1, true),
            ("/etc/{a,b} r", 1, false),
            ("/a b w", 1, false),
            ("owner @{HOME}/** rw", 1, false),
            ("^hat", 2, true),
            ("capability", 2, false),
        ];
        let expected = expected.map(|(text, profile, head)| (text.to_owned(), profile, head));
        assert_eq!(shown, expected);
        assert_eq!(&text[all[3].span.clone()], "/etc/{a,b} r");
    }
}
