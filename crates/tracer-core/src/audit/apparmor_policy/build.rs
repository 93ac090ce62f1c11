//! From statements to profiles.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    Included, Includes, Policy, Problem, ProblemKind, Profile, flags,
    includes::known,
    rule::{self, Qualifiers, Rule, Scope},
    variables::Variables,
};
use crate::parse::{AppArmor, Form, Input, apparmor::Statement};

/// Most rules of a file's profiles with what they include.
const MAX_RULES: usize = 50_000;

/// How deep files may include files.
const MAX_DEPTH: usize = 16;

pub(super) fn policy(read: &AppArmor, includes: Includes<'_>) -> Policy {
    let mut builder = Builder {
        includes,
        variables: Variables::default(),
        profiles: Vec::new(),
        raw: Vec::new(),
        problems: Vec::new(),
    };
    let is_part = is_part(&read.statements);
    // The operator writes the includes of its objects; a part is read where its variables are known.
    if is_part || read.form != Form::AppArmor {
        builder.include("tunables/global", false, &Place::default(), None, 0);
        builder.include("tunables/securityfs", true, &Place::default(), None, 0);
        builder.problems.clear();
    }
    if is_part {
        builder.profiles.push(Profile {
            name: String::new(),
            span: 0..0,
            flags: Vec::new(),
            parent: None,
            is_part,
            from: None,
            rules: Vec::new(),
            blocking: Vec::new(),
        });
    }
    let outer = is_part.then_some(0);
    builder.walk(&read.statements, &Place::default(), outer, 0);
    builder.finish()
}

/// Whether a file is one that profiles include: it has rules outside of profiles, or hats, or no profile.
fn is_part(all: &[Statement]) -> bool {
    const OUTSIDE: [&str; 4] = ["include", "#include", "abi", "alias"];
    let first = |it: &Statement| it.words.first().cloned().unwrap_or_default();
    let is_rule = |it: &Statement| {
        let first = first(it);
        let is_variable = first.starts_with('$') || first.starts_with("@{");
        let is_assignment = is_variable && it.words.iter().any(|word| word.contains('='));
        !it.is_head && it.profile == 0 && !OUTSIDE.contains(&first.as_str()) && !is_assignment
    };
    let is_hat = |it: &Statement| {
        let first = first(it);
        it.is_head && it.outer == 0 && (first.starts_with('^') || first == "hat")
    };
    all.iter().any(|it| is_rule(it) || is_hat(it)) || !all.iter().any(|it| it.is_head)
}

/// A rule that is not yet read: variables may come behind it.
struct Raw {
    profile: usize,
    place: Place,
    /// Behind the qualifiers.
    words: Vec<String>,
    text: String,
    qualifiers: Qualifiers,
}

/// Where a statement stands for the reader.
#[derive(Clone, Default)]
struct Place {
    /// Of an included file: where the include stands.
    span: Option<Range<usize>>,
    from: Option<Arc<str>>,
}

impl Place {
    fn of(&self, statement: &Statement) -> Self {
        Self {
            span: Some(self.span.clone().unwrap_or(statement.span.clone())),
            from: self.from.clone(),
        }
    }

    fn problem(&self, what: ProblemKind) -> Problem {
        Problem {
            span: self.span.clone().unwrap_or_default(),
            from: self.from.clone(),
            what,
        }
    }
}

/// What is between two braces.
#[derive(Clone, Copy, Default)]
struct Block {
    /// The profile that its rules are of.
    profile: Option<usize>,
    qualifiers: Qualifiers,
    /// A condition that does not hold is around it.
    is_dead: bool,
}

struct Builder<'a> {
    includes: Includes<'a>,
    variables: Variables,
    profiles: Vec<Profile>,
    raw: Vec<Raw>,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn walk(&mut self, all: &[Statement], place: &Place, profile: Option<usize>, depth: usize) {
        let outermost = Block {
            profile,
            ..Block::default()
        };
        let mut blocks = BTreeMap::from([(0, outermost)]);
        // What the last condition came to, for `else`.
        let mut last = None;
        for statement in all {
            let around = if statement.is_head {
                statement.outer
            } else {
                statement.profile
            };
            let around = blocks.get(&around).copied().unwrap_or(outermost);
            let place = place.of(statement);
            if statement.is_head {
                let block = self.head(statement, &place, around, &mut last);
                blocks.insert(statement.profile, block);
            } else if !around.is_dead {
                self.statement(statement, &place, around, depth);
            }
        }
    }

    /// A block: a profile, a condition, or qualifiers.
    fn head(
        &mut self,
        head: &Statement,
        place: &Place,
        around: Block,
        last: &mut Option<bool>,
    ) -> Block {
        let words: Vec<&str> = head.words.iter().map(String::as_str).collect();
        let (qualifiers, rest) = qualifiers(&head.words, around.qualifiers);
        match words.as_slice() {
            ["if", condition @ ..] => {
                *last = self.holds(condition);
                Block {
                    is_dead: around.is_dead || *last == Some(false),
                    ..around
                }
            }
            ["else", condition @ ..] => {
                let before = *last;
                let own = match condition {
                    ["if", condition @ ..] => self.holds(condition),
                    _ => Some(true),
                };
                *last = match (before, own) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (None, _) | (_, None) => None,
                    _ => Some(false),
                };
                Block {
                    is_dead: around.is_dead || before == Some(true) || own == Some(false),
                    ..around
                }
            }
            _ if rest.is_empty() => Block {
                qualifiers,
                ..around
            },
            _ => self.profile(head, place, around),
        }
    }

    /// Whether a condition holds, where that is known.
    fn holds(&self, condition: &[&str]) -> Option<bool> {
        let name = |text: &str| {
            let inner = text.trim_start_matches(['@', '$', '{']);
            inner.trim_end_matches('}').to_owned()
        };
        match condition {
            ["not", rest @ ..] => self.holds(rest).map(|holds| !holds),
            ["defined", variable] if variable.starts_with('$') => {
                Some(self.variables.boolean(&name(variable)).is_some())
            }
            ["defined", variable] => Some(self.variables.is_defined(&name(variable))),
            [variable] if variable.starts_with('$') => self.variables.boolean(&name(variable)),
            _ => None,
        }
    }

    fn profile(&mut self, head: &Statement, place: &Place, around: Block) -> Block {
        let own = head.profile_name().trim_start_matches('^');
        let parent = around.profile.filter(|_| !around.is_dead);
        let outer = parent.and_then(|at| self.profiles.get(at));
        let name = match outer {
            Some(outer) if !outer.is_part => format!("{}//{own}", outer.name),
            _ => own.to_owned(),
        };
        let flags = flags::of_head(&head.words.join(" "));
        for flag in flags.iter().filter(|flag| !flags::is_known(flag)) {
            self.problems
                .push(place.problem(ProblemKind::NotUnderstood {
                    rule: head.words.join(" "),
                    why: format!("there is no flag {flag}"),
                }));
        }
        let block = Block {
            profile: Some(self.profiles.len()),
            qualifiers: Qualifiers::default(),
            is_dead: around.is_dead,
        };
        self.profiles.push(Profile {
            name,
            span: place.span.clone().unwrap_or_default(),
            flags,
            parent,
            is_part: false,
            from: place.from.clone(),
            rules: Vec::new(),
            blocking: Vec::new(),
        });
        block
    }

    fn statement(&mut self, statement: &Statement, place: &Place, around: Block, depth: usize) {
        let words = &statement.words;
        let first = words.first().map_or("", String::as_str);
        match first.trim_start_matches('#') {
            "include" => {
                let (optional, name) = match words.as_slice() {
                    [_, condition, exists, name] if condition == "if" && exists == "exists" => {
                        (true, name)
                    }
                    [_, name] => (false, name),
                    _ => return self.not_understood(statement, place, "it names no file"),
                };
                let name = name.trim_matches(['<', '>']).to_owned();
                self.include(&name, optional, place, around.profile, depth);
            }
            "abi" => {}
            "alias" => match words.as_slice() {
                [_, from, arrow, to] if arrow == "->" => self.variables.add_alias(from, to),
                _ => self.not_understood(statement, place, "an alias is written as `alias A -> B`"),
            },
            _ if first.starts_with("@{") || first.starts_with('$') => {
                if !self.assignment(&words.join(" ")) {
                    self.rule(statement, place, around);
                }
            }
            _ => self.rule(statement, place, around),
        }
    }

    fn not_understood(&mut self, statement: &Statement, place: &Place, why: &str) {
        self.problems
            .push(place.problem(ProblemKind::NotUnderstood {
                rule: statement.words.join(" "),
                why: why.to_owned(),
            }));
    }

    /// Takes in `@{NAME} = VALUES`, with `+=` for more, or `$NAME = true`.
    fn assignment(&mut self, text: &str) -> bool {
        if let Some((name, value)) = text.strip_prefix('$').and_then(|it| it.split_once('=')) {
            let name = name.trim().trim_matches(['{', '}']);
            self.variables.set_boolean(name, value.trim() == "true");
            return true;
        }
        let named = text.strip_prefix("@{").and_then(|it| it.split_once('}'));
        let Some((name, rest)) = named else {
            return false;
        };
        let rest = rest.trim_start();
        let (adds, values) = match (rest.strip_prefix("+="), rest.strip_prefix('=')) {
            (Some(values), _) => (true, values),
            (None, Some(values)) => (false, values),
            (None, None) => return false,
        };
        let values = values.split_whitespace().map(str::to_owned).collect();
        self.variables.assign(name, values, adds);
        true
    }

    fn rule(&mut self, statement: &Statement, place: &Place, around: Block) {
        let Some(profile) = around.profile else {
            return self.not_understood(statement, place, "it is in no profile");
        };
        let (qualifiers, words) = qualifiers(&statement.words, around.qualifiers);
        if self.raw.len() == MAX_RULES {
            let why = format!("there are more than {MAX_RULES} rules with those of included files");
            self.not_understood(statement, place, &why);
        }
        if self.raw.len() <= MAX_RULES {
            self.raw.push(Raw {
                profile,
                place: place.clone(),
                words: words.to_vec(),
                text: statement.words.join(" "),
                qualifiers,
            });
        }
    }

    fn include(
        &mut self,
        name: &str,
        optional: bool,
        place: &Place,
        profile: Option<usize>,
        depth: usize,
    ) {
        let missing = |why: &str| {
            place.problem(ProblemKind::NotIncluded {
                name: name.to_owned(),
                why: why.to_owned(),
            })
        };
        if depth >= MAX_DEPTH {
            self.problems
                .push(missing("there are too many includes in includes"));
            return;
        }
        let files = match ((self.includes)(name), known(name)) {
            (Included::Files(files), _) => files,
            (Included::Missing, Some(text)) => {
                let input = Input::new(name, text.into());
                input.into_iter().collect()
            }
            (Included::Missing, None) if optional => return,
            (Included::Missing, None) => {
                self.problems.push(missing("there is no such file"));
                return;
            }
            (Included::Unreadable(why), _) => {
                self.problems.push(missing(&why));
                return;
            }
        };
        for file in files {
            let inner = Place {
                span: Some(place.span.clone().unwrap_or_default()),
                from: Some(name.into()),
            };
            match AppArmor::from_text(&file) {
                Ok(read) => self.walk(&read.statements, &inner, profile, depth + 1),
                Err(error) => self.problems.push(missing(&error.to_string())),
            }
        }
    }

    /// Reads the rules, now that all variables are known.
    fn finish(mut self) -> Policy {
        let mut usual = None;
        for raw in self.raw {
            let Some(profile) = self.profiles.get_mut(raw.profile) else {
                continue;
            };
            let scope = Scope {
                variables: &self.variables,
                profile: &profile.name,
            };
            let what = scope.what(&raw.words, raw.qualifiers.denies);
            let text = raw.text;
            match what {
                Ok(what) => profile.rules.push(Rule {
                    span: raw.place.span.unwrap_or_default(),
                    from: raw.place.from,
                    text,
                    qualifiers: raw.qualifiers,
                    what,
                }),
                Err(why) if why.starts_with(rule::UNDEFINED) => {
                    // It is read with what the variable usually is.
                    let usual = usual.get_or_insert_with(usual_variables);
                    let scope = Scope {
                        variables: usual,
                        profile: &profile.name,
                    };
                    if let Ok(what) = scope.what(&raw.words, raw.qualifiers.denies) {
                        profile.rules.push(Rule {
                            span: raw.place.span.clone().unwrap_or_default(),
                            from: raw.place.from.clone(),
                            text: text.clone(),
                            qualifiers: raw.qualifiers,
                            what,
                        });
                    }
                    let what = ProblemKind::Undefined { rule: text, why };
                    self.problems.push(raw.place.problem(what));
                }
                Err(why) => {
                    let what = ProblemKind::NotUnderstood { rule: text, why };
                    self.problems.push(raw.place.problem(what));
                }
            }
        }
        for profile in &mut self.profiles {
            profile.find_blocking();
        }
        Policy {
            profiles: self.profiles,
            problems: self.problems,
            variables: self.variables,
        }
    }
}

/// What the variables of the distribution are.
fn usual_variables() -> Variables {
    let mut builder = Builder {
        includes: &|_| Included::Missing,
        variables: Variables::default(),
        profiles: Vec::new(),
        raw: Vec::new(),
        problems: Vec::new(),
    };
    for name in ["tunables/global", "tunables/securityfs"] {
        builder.include(name, true, &Place::default(), None, 0);
    }
    builder.variables
}

/// The qualifiers before a rule, with those of the blocks around it, and the rule.
fn qualifiers(words: &[String], around: Qualifiers) -> (Qualifiers, &[String]) {
    let mut all = around;
    let mut rest = words;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "deny" => all.denies = true,
            "owner" => all.owner = true,
            "audit" => all.audit = true,
            "allow" | "quiet" | "other" | "prompt" | "safe" | "unsafe" => {}
            word => match word.strip_prefix("priority=").map(str::parse) {
                Some(Ok(priority)) => all.priority = priority,
                _ => break,
            },
        }
        rest = others;
    }
    (all, rest)
}
