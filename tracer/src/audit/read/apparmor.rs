//! AppArmor text as a list of rules: enough of apparmor.d(5) to see what a rule says of files,
//! capabilities and sockets. No include is followed, so there are no circles.

use std::ops::Range;

/// A rule, or the head of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Statement {
    pub(in super::super) span: Range<usize>,
    /// Its words; a text in quotes is one, without them.
    pub(in super::super) words: Vec<String>,
    /// The profile it is in, counted from 1; 0 for none.
    pub(in super::super) profile: usize,
    /// Whether it opens a profile.
    pub(in super::super) is_head: bool,
}

/// The statements of a text, in order.
pub(in super::super) fn read(text: &str) -> Vec<Statement> {
    let mut reader = Reader {
        text,
        statements: Vec::new(),
        open: Vec::new(),
        profiles: 0,
        begin: None,
    };
    reader.run();
    reader.statements
}

struct Reader<'text> {
    text: &'text str,
    statements: Vec<Statement>,
    open: Vec<usize>,
    profiles: usize,
    begin: Option<usize>,
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut before = ' ';
        let (mut quoted, mut escaped, mut comment) = (false, false, false);
        // Brackets in which a comma separates nothing.
        let mut depth = 0_usize;
        for (at, c) in self.text.char_indices() {
            if comment {
                comment = c != '\n';
                before = c;
                continue;
            }
            if escaped {
                escaped = false;
                before = c;
                continue;
            }
            match c {
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => {}
                // `#include` and `include` take the rest of the line, and no comma.
                '#' if before.is_whitespace() && !self.rest(at).starts_with("#include") => {
                    comment = true;
                    before = c;
                    continue;
                }
                '\n' if self.is_include(at) => self.end(at, false),
                '{' if before.is_whitespace() || before == ')' => {
                    self.end(at, true);
                    depth = 0;
                    before = c;
                    continue;
                }
                '}' if depth == 0 => {
                    self.end(at, false);
                    self.open.pop();
                    before = c;
                    continue;
                }
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    self.end(at, false);
                    before = c;
                    continue;
                }
                _ => {}
            }
            if self.begin.is_none() && !c.is_whitespace() {
                self.begin = Some(at);
            }
            before = c;
        }
        self.end(self.text.len(), false);
    }

    fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    fn is_include(&self, at: usize) -> bool {
        let statement = self.begin.and_then(|begin| self.text.get(begin..at));
        statement.is_some_and(|it| it.starts_with("#include") || it.starts_with("include"))
    }

    fn end(&mut self, at: usize, is_head: bool) {
        let begin = self.begin.take();
        if is_head {
            self.profiles += 1;
            self.open.push(self.profiles);
        }
        let Some(text) = begin.and_then(|begin| self.text.get(begin..at)) else {
            return;
        };
        let begin = begin.unwrap_or(at);
        self.statements.push(Statement {
            span: begin..begin + text.trim_end().len(),
            words: words(text),
            profile: self.open.last().copied().unwrap_or_default(),
            is_head,
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
    fn rules_heads_and_their_places() {
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
