//! Variables (`@{HOME}`) and aliases, and texts with them replaced.

use std::collections::BTreeMap;

/// Most paths that a path is found as.
const MAX_TEXTS: usize = 4096;

/// How deep variables may be in variables.
const MAX_DEPTH: usize = 16;

/// How many variables are replaced in a text.
const MAX_REPLACEMENTS: usize = 10_000;

/// How long a text may get: the parser's buffer for a path ends before.
const MAX_LENGTH: usize = 16_384;

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unexpanded {
    /// A variable has no value.
    Undefined(String),
    /// There are too many values, or they are too long.
    TooLarge,
}

/// What variables stand for, and what paths are also found as.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Vec<String>>,
    booleans: BTreeMap<String, bool>,
    aliases: Vec<(String, String)>,
}

impl Variables {
    /// Gives a variable these values, or more values.
    pub(super) fn assign(&mut self, name: &str, values: Vec<String>, adds: bool) {
        let of = self.values.entry(name.to_owned()).or_default();
        if !adds {
            of.clear();
        }
        of.extend(values);
    }

    pub(super) fn set_boolean(&mut self, name: &str, value: bool) {
        self.booleans.insert(name.to_owned(), value);
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.booleans.get(name).copied()
    }

    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn add_alias(&mut self, from: &str, to: &str) {
        self.aliases.push((from.to_owned(), to.to_owned()));
    }

    /// A label with its variables replaced, in a profile of this name.
    pub(super) fn expand(&self, text: &str, profile: &str) -> Result<String, Unexpanded> {
        self.replaced(text, profile, 0, &mut { MAX_REPLACEMENTS })
    }

    /// A path with its variables replaced, and as what it is also found.
    pub(super) fn paths(&self, text: &str, profile: &str) -> Result<Vec<String>, Unexpanded> {
        let mut texts = vec![one_slash(&self.expand(text, profile)?)];
        for (from, to) in &self.aliases {
            let other = texts.iter().filter_map(|text| {
                let rest = text.strip_prefix(from.as_str())?;
                Some(format!("{to}{rest}"))
            });
            let more: Vec<_> = other.collect();
            texts.extend(more);
            if texts.len() > MAX_TEXTS {
                return Err(Unexpanded::TooLarge);
            }
        }
        Ok(texts)
    }

    /// Several values become alternatives, as apparmor_parser prints them (`--debug=rule-exprs`, 3.0.8): a star at
    /// the end of one may then stand for nothing.
    fn replaced(
        &self,
        text: &str,
        profile: &str,
        depth: usize,
        left: &mut usize,
    ) -> Result<String, Unexpanded> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, variable)) = rest.split_once("@{") {
            let undefined = || Unexpanded::Undefined(variable.to_owned());
            let (name, behind) = variable.split_once('}').ok_or_else(undefined)?;
            let values = self.values(name, profile, depth, left)?;
            out += before;
            match values.as_slice() {
                [only] => out += only,
                all => {
                    // The slash of the variable's end is that of what comes behind.
                    let trimmed = all.iter().map(|value| match behind.starts_with('/') {
                        true => value.strip_suffix('/').unwrap_or(value),
                        false => value,
                    });
                    out.push('{');
                    out += &trimmed.collect::<Vec<_>>().join(",");
                    out.push('}');
                }
            }
            if out.len() > MAX_LENGTH {
                return Err(Unexpanded::TooLarge);
            }
            rest = behind;
        }
        out += rest;
        match out.len() > MAX_LENGTH {
            true => Err(Unexpanded::TooLarge),
            false => Ok(out),
        }
    }

    /// What a variable stands for.
    fn values(
        &self,
        name: &str,
        profile: &str,
        depth: usize,
        left: &mut usize,
    ) -> Result<Vec<String>, Unexpanded> {
        *left = left.checked_sub(1).ok_or(Unexpanded::TooLarge)?;
        match (self.values.get(name), name) {
            (Some(_), _) if depth >= MAX_DEPTH => Err(Unexpanded::TooLarge),
            (Some(values), _) => values
                .iter()
                .map(|value| self.replaced(value, profile, depth + 1, left))
                .collect(),
            // The parser's own. The program's path is not known here.
            (None, "profile_name") => Ok(vec![profile.to_owned()]),
            (None, "exec_path" | "attach_path") => Ok(vec!["/**".to_owned()]),
            (None, name) => Err(Unexpanded::Undefined(name.to_owned())),
        }
    }
}

/// Two slashes are one, as variables that end with one leave them (parser/parser_regex.c, `filter_slashes`).
fn one_slash(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_aliases_are_replaced() {
        let mut all = Variables::default();
        let texts = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        all.assign("DIRS", texts(&["/home/"]), false);
        all.assign("HOME", texts(&["@{DIRS}/*/", "/root/"]), false);
        all.assign("DIRS", texts(&["/srv/"]), true);
        let expand = |text: &str| all.paths(text, "web");
        assert_eq!(
            expand("@{HOME}/.ssh"),
            Ok(texts(&["{{/home,/srv}/*,/root}/.ssh"]))
        );
        assert_eq!(
            all.expand("@{profile_name}//x", "web"),
            Ok("web//x".to_owned())
        );
        assert_eq!(
            expand("/a/@{NO}"),
            Err(Unexpanded::Undefined("NO".to_owned()))
        );
        all.add_alias("/root/", "/data/root/");
        assert_eq!(
            all.paths("/root/a", ""),
            Ok(texts(&["/root/a", "/data/root/a"]))
        );
    }

    #[test]
    fn circles_and_floods_are_refused() {
        let mut all = Variables::default();
        all.assign("a", vec!["x@{a}".to_owned()], false);
        assert_eq!(all.expand("@{a}", ""), Err(Unexpanded::TooLarge));
        for depth in 0..15 {
            let value = format!("@{{n{}}}", depth + 1).repeat(50);
            all.assign(&format!("n{depth}"), vec![value], false);
        }
        all.assign("n15", vec![String::new()], false);
        assert_eq!(all.expand("@{n0}", ""), Err(Unexpanded::TooLarge));
        all.assign("b", vec!["y".to_owned(); 3000], false);
        assert_eq!(all.expand(&"@{b}".repeat(9), ""), Err(Unexpanded::TooLarge));
    }
}
