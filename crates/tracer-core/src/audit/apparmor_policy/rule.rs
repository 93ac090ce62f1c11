//! A rule as it is in force: without variables, with the qualifiers of the blocks around it.

use std::{ops::Range, sync::Arc};

use super::{
    glob::Glob,
    parts::Parts,
    search::compatible,
    variables::{Unexpanded, Variables},
};

/// A rule of a profile.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Where it stands in the file that is audited; of an included file's rules, where the include does.
    pub(crate) span: Range<usize>,
    /// The included file that it is of.
    pub(crate) from: Option<Arc<str>>,
    /// Its words.
    pub(crate) text: String,
    pub(crate) qualifiers: Qualifiers,
    pub(crate) what: What,
}

/// What stands before a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Qualifiers {
    pub(crate) denies: bool,
    pub(crate) owner: bool,
    pub(crate) audit: bool,
    /// A rule of a higher one overrides (apparmor.d(5) of 4.1).
    pub(crate) priority: i32,
}

/// What a rule is about.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Files.
    File(FileRule),
    /// `link NAME -> TARGET`.
    Link { subset: bool, targets: Vec<Glob> },
    /// Anything else.
    Other(Parts),
}

/// A rule about files.
#[derive(Clone, Debug)]
pub(crate) struct FileRule {
    /// The path as it is written; of `file,` none.
    pub(crate) path: Option<String>,
    pub(crate) globs: Vec<Glob>,
    pub(crate) permissions: Permissions,
    /// The profile of programs that are executed.
    pub(crate) target: Option<String>,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) link: bool,
    pub(crate) lock: bool,
    pub(crate) map: bool,
    pub(crate) execute: Option<Execute>,
}

/// Under what a program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Execute {
    /// `i`.
    pub(crate) inherits: bool,
    /// `p`.
    pub(crate) profile: bool,
    /// `c`.
    pub(crate) child: bool,
    /// `u`.
    pub(crate) unconfined: bool,
    /// A small letter: the environment is kept, `LD_PRELOAD` too.
    pub(crate) keeps_environment: bool,
}

/// Every file, as `file,` means it (parser/parser_yacc.y).
const EVERYTHING: &str = "/{,**}";

impl Permissions {
    const ALL: Self = Self {
        read: true,
        write: true,
        append: true,
        link: true,
        lock: true,
        map: true,
        execute: Some(Execute {
            inherits: true,
            profile: false,
            child: false,
            unconfined: false,
            keeps_environment: false,
        }),
    };

    fn read(letters: &str, denies: bool) -> Result<Self, String> {
        let mut permissions = Self::default();
        let mut mode = Execute::default();
        let mut is_bare = true;
        for letter in letters.chars() {
            match letter {
                'r' => permissions.read = true,
                'w' => permissions.write = true,
                'a' => permissions.append = true,
                'l' => permissions.link = true,
                'k' => permissions.lock = true,
                'm' => permissions.map = true,
                'i' => mode.inherits = true,
                'p' | 'P' => mode.profile = true,
                'c' | 'C' => mode.child = true,
                'u' | 'U' => mode.unconfined = true,
                'x' => permissions.execute = Some(mode),
                _ => return Err(format!("{letters} is no permission")),
            }
            if "ipPcCuU".contains(letter) {
                is_bare = false;
                mode.keeps_environment |= "pcu".contains(letter);
            }
        }
        // The parser adds it (parser/parser_regex.c, `process_dfa_entry`: "ix implies m").
        permissions.map |= permissions.execute.is_some() && mode.inherits;
        // `x` may come before the letters of its mode.
        if permissions.execute.is_some() {
            permissions.execute = Some(mode);
        }
        match permissions.execute {
            None if !is_bare => Err(format!("{letters} has no x")),
            Some(_) if is_bare && !denies => {
                Err("x needs i, p, c or u before it, or a deny".to_owned())
            }
            _ => Ok(permissions),
        }
    }

    /// Whether contents can be changed.
    pub(crate) fn writes(self) -> bool {
        self.write || self.append
    }

    /// Whether the permission of a letter is among them; `w` holds `a`.
    pub(crate) fn has(self, letter: char) -> bool {
        match letter {
            'r' => self.read,
            'w' => self.write,
            'a' => self.append || self.write,
            'l' => self.link,
            'k' => self.lock,
            'm' => self.map,
            'x' => self.execute.is_some(),
            _ => false,
        }
    }
}

impl FileRule {
    /// Whether the two may be about the same path, by what their paths begin with.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let fits = |one: &Glob| other.globs.iter().any(|its| compatible(one, its));
        self.globs.iter().any(fits)
    }
}

impl Rule {
    pub(crate) fn file(&self) -> Option<&FileRule> {
        match &self.what {
            What::File(file) => Some(file),
            What::Link { .. } | What::Other(_) => None,
        }
    }

    pub(crate) fn parts(&self, keyword: &str) -> Option<&Parts> {
        match &self.what {
            What::Other(parts) if parts.keyword == keyword => Some(parts),
            What::Other(_) | What::File(_) | What::Link { .. } => None,
        }
    }
}

/// Where a rule is read.
pub(super) struct Scope<'a> {
    pub(super) variables: &'a Variables,
    /// What the profile is called.
    pub(super) profile: &'a str,
}

impl Scope<'_> {
    /// Reads what a rule says behind its qualifiers. The error says what is wrong.
    pub(super) fn what(&self, words: &[String], denies: bool) -> Result<What, String> {
        let (first, rest) = words.split_first().ok_or("there is no rule")?;
        match first.as_str() {
            "file" if rest.is_empty() => Ok(What::File(FileRule {
                path: None,
                globs: self.globs(EVERYTHING)?,
                permissions: Permissions::ALL,
                target: None,
            })),
            "file" => self.file(rest, denies),
            "link" => self.link(rest),
            _ => match Parts::read(words) {
                Some(parts) => self.checked(parts?),
                None => self.file(words, denies),
            },
        }
    }

    fn file(&self, words: &[String], denies: bool) -> Result<What, String> {
        let (head, target) = match words {
            [head @ .., arrow, target] if arrow == "->" => (head, Some(target.clone())),
            _ => (words, None),
        };
        let [first, second] = head else {
            return Err("it is no rule that tracer knows".to_owned());
        };
        let (path, letters) = if is_path(first) {
            (first, second)
        } else if is_path(second) {
            (second, first)
        } else {
            return Err("it is no rule that tracer knows".to_owned());
        };
        let permissions = Permissions::read(letters, denies)?;
        if let Some(target) = &target {
            self.expanded(target)?;
        }
        Ok(What::File(FileRule {
            path: Some(path.clone()),
            globs: self.globs(path)?,
            permissions,
            target,
        }))
    }

    fn link(&self, words: &[String]) -> Result<What, String> {
        let (subset, words) = match words.split_first() {
            Some((first, rest)) if first == "subset" => (true, rest),
            _ => (false, words),
        };
        let [name, arrow, target] = words else {
            return Err("a link is written as `link NAME -> TARGET`".to_owned());
        };
        if arrow != "->" {
            return Err("a link is written as `link NAME -> TARGET`".to_owned());
        }
        self.globs(name)?;
        let targets = self.globs(target)?;
        Ok(What::Link { subset, targets })
    }

    /// A rule whose variables are all known.
    fn checked(&self, parts: Parts) -> Result<What, String> {
        let values = parts.conditions.iter().flat_map(|(_, values)| values);
        for word in parts.words.iter().chain(values).chain(&parts.target) {
            self.expanded(word)?;
        }
        Ok(What::Other(parts))
    }

    fn expanded(&self, text: &str) -> Result<String, String> {
        self.variables.expand(text, self.profile).map_err(why)
    }

    /// The paths that a text stands for.
    pub(super) fn globs(&self, text: &str) -> Result<Vec<Glob>, String> {
        let texts = self.variables.paths(text, self.profile).map_err(why)?;
        globs(&texts)
    }

    /// The labels that a text stands for.
    pub(super) fn labels(&self, text: &str) -> Result<Vec<Glob>, String> {
        globs(&[self.expanded(text)?])
    }
}

fn globs(texts: &[String]) -> Result<Vec<Glob>, String> {
    let globs = texts.iter().map(|text| Glob::new(text));
    globs
        .collect::<Result<_, _>>()
        .map_err(|bad| bad.to_string())
}

/// How [`why`] begins for a variable without a value.
pub(super) const UNDEFINED: &str = "nothing defines ";

fn why(unexpanded: Unexpanded) -> String {
    match unexpanded {
        Unexpanded::Undefined(name) => format!("{UNDEFINED}@{{{name}}}"),
        Unexpanded::TooLarge => "its variables have too many values".to_owned(),
    }
}

fn is_path(word: &str) -> bool {
    word.starts_with(['/', '{', '*', '[']) || word.starts_with("@{")
}
