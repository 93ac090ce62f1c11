//! CIL: lists in parentheses, words, texts in quotes, and comments from `;` to the end of the line.

use std::ops::Range;

use super::{
    super::{Form, Input, MAX_DEPTH, MAX_NODES, ParseError},
    Allow, MAX_RULES, Selinux, Word,
};

/// A list or a word.
enum Item {
    List(Vec<Item>, Range<usize>),
    Word(Word),
}

impl Item {
    fn word(&self) -> Option<&Word> {
        match self {
            Self::Word(word) => Some(word),
            Self::List(..) => None,
        }
    }

    fn list(&self) -> Option<(&[Self], &Range<usize>)> {
        match self {
            Self::List(items, span) => Some((items, span)),
            Self::Word(_) => None,
        }
    }

    /// The words of a list of words, or one word alone.
    fn words(&self) -> Option<Vec<Word>> {
        match self {
            Self::Word(word) => Some(vec![word.clone()]),
            Self::List(items, _) => items.iter().map(|it| it.word().cloned()).collect(),
        }
    }
}

/// Whether a text is CIL: its first letter that is not of a comment opens a list, whose first word is one of the
/// language's.
pub(in super::super) fn is_text(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(';'));
    let Some(rest) = first.and_then(|line| line.strip_prefix('(')) else {
        return false;
    };
    let end = rest.find(|c: char| !c.is_ascii_lowercase());
    let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    KEYWORDS.contains(&word)
}

/// Statements that begin a file of rules (SELinuxProject, secilc/docs).
const KEYWORDS: [&str; 22] = [
    "allow",
    "auditallow",
    "block",
    "blockabstract",
    "blockinherit",
    "boolean",
    "booleanif",
    "call",
    "class",
    "dontaudit",
    "filecon",
    "in",
    "macro",
    "neverallow",
    "optional",
    "portcon",
    "role",
    "roletype",
    "type",
    "typeattribute",
    "typeattributeset",
    "typepermissive",
];

/// The domains of a file: one for each block, and one for the rules outside of blocks.
pub(in super::super) fn text(input: &Input) -> Result<Vec<Selinux>, ParseError> {
    let mut reader = Reader {
        input,
        at: 0,
        nodes: 0,
    };
    let items = reader.items(0)?;
    let whole = 0..input.text().len();
    let mut outside = Selinux::new(Form::Cil, None, whole);
    let mut domains = Vec::new();
    statements(input, &items, "", &mut outside, &mut domains)?;
    if !outside.rules.is_empty() || outside.permissive.is_some() || domains.is_empty() {
        domains.insert(0, outside);
    }
    Ok(domains)
}

/// The statements inside of a block, as a RawSelinuxProfile has them.
pub(super) fn inside(input: &Input, name: &str) -> Result<Selinux, ParseError> {
    let mut reader = Reader {
        input,
        at: 0,
        nodes: 0,
    };
    let items = reader.items(0)?;
    let whole = 0..input.text().len();
    let mut domain = Selinux::new(Form::RawSelinuxResource, Some(name.to_owned()), whole);
    let mut nested = Vec::new();
    statements(input, &items, name, &mut domain, &mut nested)?;
    for other in nested {
        domain.unread.push(Word {
            text: "block".to_owned(),
            span: other.span,
        });
    }
    Ok(domain)
}

/// Notes that a domain is permissive; `false` when the statement is about another type.
fn permissive(rest: &[Item], span: &Range<usize>, domain: &mut Selinux) -> bool {
    let of = rest
        .first()
        .and_then(Item::word)
        .map(|word| word.text.as_str());
    let is_own = match (of, &domain.name) {
        (_, None) | (Some("process"), _) => true,
        (Some(of), Some(name)) => of.strip_suffix(".process") == Some(name.as_str()),
        (None, Some(_)) => false,
    };
    if is_own {
        domain.permissive = Some(span.clone());
    }
    is_own
}

fn statements(
    input: &Input,
    items: &[Item],
    path: &str,
    domain: &mut Selinux,
    domains: &mut Vec<Selinux>,
) -> Result<(), ParseError> {
    for item in items {
        let Some((list, span)) = item.list() else {
            let at = item.word().map_or(0, |word| word.span.start);
            return Err(input.malformed(at, "a statement begins with ("));
        };
        let Some(keyword) = list.first().and_then(Item::word) else {
            return Err(input.malformed(span.start, "a statement begins with a word"));
        };
        let rest = list.get(1..).unwrap_or_default();
        let read = match keyword.text.as_str() {
            "block" => block(input, rest, span, path, domains)?,
            "optional" => {
                let inner = rest.get(1..).unwrap_or_default();
                statements(input, inner, path, domain, domains)?;
                true
            }
            "blockinherit" => push(&mut domain.inherits, rest.first()),
            "typepermissive" => permissive(rest, span, domain),
            "typeattributeset" => attribute(rest, domain),
            "allow" => allow(rest, span, domain),
            // Without these no rule has a meaning, and they allow nothing.
            "type" | "roletype" | "blockabstract" | "role" | "typeattribute" => true,
            _ => false,
        };
        if !read {
            domain.unread.push(Word {
                text: keyword.text.clone(),
                span: span.clone(),
            });
        }
        if domain.rules.len() > MAX_RULES {
            return Err(input.malformed(span.start, format!("more than {MAX_RULES} rules")));
        }
    }
    Ok(())
}

fn push(into: &mut Vec<Word>, item: Option<&Item>) -> bool {
    let Some(word) = item.and_then(Item::word) else {
        return false;
    };
    into.push(word.clone());
    true
}

fn block(
    input: &Input,
    rest: &[Item],
    span: &Range<usize>,
    path: &str,
    domains: &mut Vec<Selinux>,
) -> Result<bool, ParseError> {
    let Some(name) = rest.first().and_then(Item::word) else {
        return Err(input.malformed(span.start, "a block has a name"));
    };
    let path = if path.is_empty() {
        name.text.clone()
    } else {
        format!("{path}.{}", name.text)
    };
    let mut inner = Selinux::new(Form::Cil, Some(path.clone()), span.clone());
    let inside = rest.get(1..).unwrap_or_default();
    let mut nested = Vec::new();
    statements(input, inside, &path, &mut inner, &mut nested)?;
    domains.push(inner);
    domains.append(&mut nested);
    Ok(true)
}

/// `(typeattributeset ATTRIBUTE (process))`; an expression with operators is not read.
fn attribute(rest: &[Item], domain: &mut Selinux) -> bool {
    let [name, members] = rest else {
        return false;
    };
    let is_plain = members
        .words()
        .is_some_and(|words| words.iter().all(|word| word.text == "process"));
    is_plain && push(&mut domain.attributes, Some(name))
}

/// `(allow SOURCE TARGET (CLASS (PERMISSION…)))`.
fn allow(rest: &[Item], span: &Range<usize>, domain: &mut Selinux) -> bool {
    let [source, target, rights] = rest else {
        return false;
    };
    let (Some(source), Some(target)) = (source.word(), target.word()) else {
        return false;
    };
    // One word is a set of classes and permissions that is declared elsewhere.
    let Some(([class, permissions], _)) = rights.list() else {
        return false;
    };
    let (Some(class), Some(permissions)) = (class.word(), permissions.words()) else {
        return false;
    };
    domain.rules.push(Allow {
        source: source.text.clone(),
        target: target.text.clone(),
        class: class.text.clone(),
        permissions: permissions.into_iter().map(|word| word.text).collect(),
        span: span.clone(),
    });
    true
}

struct Reader<'a> {
    input: &'a Input,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    /// What stands up to the end of the list, or of the file.
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, ParseError> {
        let mut items = Vec::new();
        loop {
            self.skip();
            let begin = self.at;
            let Some(byte) = self.input.text().as_bytes().get(begin) else {
                return match depth {
                    0 => Ok(items),
                    _ => Err(self.input.malformed(begin, "the file ends inside of a (")),
                };
            };
            self.nodes += 1;
            if depth > MAX_DEPTH || self.nodes > MAX_NODES {
                return Err(self.input.malformed(begin, "too deep, or too much"));
            }
            match byte {
                b')' if depth == 0 => {
                    return Err(self.input.malformed(begin, "there is no ( for this )"));
                }
                b')' => return Ok(items),
                b'(' => {
                    self.at += 1;
                    let inner = self.items(depth + 1)?;
                    self.at += 1;
                    items.push(Item::List(inner, begin..self.at));
                }
                _ => items.push(Item::Word(self.word(begin)?)),
            }
        }
    }

    fn skip(&mut self) {
        let bytes = self.input.text().as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if *byte == b';' {
                let rest = bytes.get(self.at..).unwrap_or_default();
                self.at += rest
                    .iter()
                    .position(|it| *it == b'\n')
                    .unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn word(&mut self, begin: usize) -> Result<Word, ParseError> {
        let text = self.input.text();
        let rest = text.get(begin..).unwrap_or_default();
        let len = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or_else(|| {
                self.input
                    .malformed(begin, "the file ends inside of a text")
            })?;
            end + 2
        } else {
            let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';' | '"');
            rest.find(is_end).unwrap_or(rest.len())
        };
        self.at = begin + len;
        Ok(Word {
            text: rest.get(..len).unwrap_or_default().to_owned(),
            span: begin..self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(source: &str) -> Result<Vec<Selinux>, ParseError> {
        text(&Input::new("a.cil", source.into()).unwrap())
    }

    #[test]
    fn blocks_and_rules_are_read() {
        let domains = read(
            "; a comment (\n(block web (blockinherit container)\n (typepermissive process)\n \
             (allow process node_t (tcp_socket (node_bind))) (allow process self (fd (use)))\n \
             (call x (y)))\n(allow a_t b_t (file (read)))",
        )
        .unwrap();
        assert_eq!(domains.len(), 2);
        assert_eq!(domains[0].name, None);
        let web = &domains[1];
        assert_eq!(web.name.as_deref(), Some("web"));
        assert_eq!(web.inherits[0].text, "container");
        assert!(web.permissive.is_some());
        assert_eq!(web.unread[0].text, "call");
        let permissions = web.permissions();
        assert!(permissions[&(Some("node_t"), "tcp_socket")].contains("node_bind"));
        assert!(permissions[&(None, "fd")].contains("use"));
    }

    #[test]
    fn malformed_text_is_refused_with_its_place() {
        for (source, column) in [
            ("(block a", 9),
            (")", 1),
            ("(block)", 1),
            ("(allow a \"", 10),
        ] {
            assert_eq!(
                read(source).unwrap_err().position,
                Some((1, column)),
                "{source}"
            );
        }
        assert!(read(&"(".repeat(100)).is_err());
    }

    #[test]
    fn other_texts_are_no_cil() {
        assert!(is_text("; x\n\n  (block a)"));
        for other in ["", "; (block", "(a b)", "{}", "a: (b)", "abi <abi/3.0>,"] {
            assert!(!is_text(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(source in "[()a-z;\" \n]{0,80}") {
            let _ = read(&source);
        }
    }
}
