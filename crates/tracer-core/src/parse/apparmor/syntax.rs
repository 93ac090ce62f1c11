//! Whether statements are of AppArmor's language (apparmor.d(5)), and where a comma is missing.

use syscalls::capability::Capability;

use super::{
    super::{Input, ParseError},
    Reader, Rule, Statement, read, rule, words,
};

/// What ends a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Comma,
    /// The line of an include or of an assignment.
    Line,
    /// The brace behind a head.
    Brace,
    /// The end of the block or of the file: the comma is missing.
    None,
}

/// Rules that have a path, or may have one, in another place than a file rule.
const WITH_PATHS: [&str; 10] = [
    "abi",
    "alias",
    "include",
    "#include",
    "mount",
    "remount",
    "umount",
    "unmount",
    "pivot_root",
    "change_profile",
];

/// Rules that have none.
const WITHOUT_PATHS: [&str; 8] = [
    "ptrace", "signal", "dbus", "unix", "set", "userns", "io_uring", "all",
];

/// In how many lines of a statement a rule is looked for that lacks its comma.
const MAX_RULE_LINES: usize = 16;

/// Whether a statement is a rule or a head that is understood. What it says may be wrong all the same:
/// apparmor_parser says so.
pub(crate) fn is_known(statement: &Statement) -> bool {
    if statement.is_head {
        return is_head(statement);
    }
    let rule = Rule::from_statement(statement);
    let Some((first, rest)) = rule.words.split_first() else {
        return false;
    };
    match first.as_str() {
        "capability" => rest
            .iter()
            .all(|word| word.parse::<Capability>().is_ok() || word == "all"),
        "network" => !rest.iter().any(|word| word.starts_with('/')),
        "file" if rest.is_empty() => true,
        "link" | "mqueue" => rest.iter().any(|word| rule::is_path(word)) || first == "mqueue",
        word if WITH_PATHS.contains(&word) => true,
        // Another rule begins there: a comma is missing.
        word if WITHOUT_PATHS.contains(&word) => !rest
            .iter()
            .any(|word| word.starts_with('/') || is_keyword(word)),
        _ => is_assignment(&rule.words.join(" ")) || is_file_rule(&rule),
    }
}

fn is_keyword(word: &str) -> bool {
    WITH_PATHS.contains(&word)
        || WITHOUT_PATHS.contains(&word)
        || ["capability", "network", "file", "link", "mqueue"].contains(&word)
}

fn is_file_rule(rule: &Rule<'_>) -> bool {
    rule.path.is_some()
        && match rule.rest {
            [] => true,
            [arrow, target @ ..] => arrow == "->" && target.len() == 1,
        }
}

/// The head of a profile, of a hat, or of a block of rules.
fn is_head(statement: &Statement) -> bool {
    let rule = Rule::from_statement(statement);
    let Some((first, rest)) = rule.words.split_first() else {
        // `deny {`.
        return !rule.qualifiers.is_empty();
    };
    match first.as_str() {
        "profile" | "hat" | "if" => !rest.is_empty(),
        "else" => true,
        word => word.starts_with(['/', '^', ':']) || rule::is_path(word),
    }
}

/// `@{NAME} = VALUES`, `@{NAME} += VALUES`, `$NAME = true`.
pub(super) fn is_assignment(text: &str) -> bool {
    // It is asked at each line of a statement: the time stays linear.
    const MAX_NAME_LEN: usize = 128;
    if !text.starts_with("@{") && !text.starts_with('$') {
        return false;
    }
    let end = text.char_indices().nth(MAX_NAME_LEN).map(|(at, _)| at);
    let text = end.and_then(|end| text.get(..end)).unwrap_or(text);
    let behind = match text.strip_prefix("@{") {
        Some(rest) => rest.split_once('}').map(|(_, behind)| behind),
        None => text.strip_prefix('$').map(|rest| {
            rest.trim_start_matches(|c: char| c.is_alphanumeric() || "_{}".contains(c))
        }),
    };
    behind.is_some_and(|behind| {
        let behind = behind.trim_start();
        behind.starts_with('=') || behind.starts_with("+=")
    })
}

/// Whether a text has a profile.
pub(in super::super) fn has_profile(text: &str) -> bool {
    read(text).iter().any(|it| it.is_head && is_head(it))
}

/// Refuses what is not AppArmor's language or what its parser does not take.
pub(super) fn check(input: &Input, reader: &Reader<'_>) -> Result<(), ParseError> {
    let statements = &reader.statements;
    if input.text().starts_with('\u{feff}') {
        let what = "the file begins with a byte order mark (BOM), which apparmor_parser refuses; save it as UTF-8 without BOM";
        return Err(input.malformed(0, what));
    }
    if !statements.iter().any(|it| it.is_head && is_head(it)) {
        // A part that others include has rules alone.
        for statement in statements {
            if !is_part(input, statement) {
                let text = input.text().get(statement.span.clone());
                let line = text.and_then(|it| it.lines().next()).unwrap_or_default();
                let what = format!(
                    "not an AppArmor profile: it contains none, and `{line}` is not an AppArmor rule"
                );
                return Err(input.malformed(statement.span.start, what));
            }
        }
    }
    for (statement, end) in statements.iter().zip(&reader.ends) {
        comma(input, statement, *end)?;
    }
    if let Some(at) = reader.stray {
        return Err(input.malformed(at, "this closes no profile (read as AppArmor text)"));
    }
    if let Some(number) = reader.open.last() {
        let is_it = |it: &&Statement| it.is_head && it.profile == *number;
        let at = statements.iter().find(is_it);
        let at = at.map_or(0, |head| head.span.start);
        return Err(input.malformed(at, "this profile is not closed (read as AppArmor text)"));
    }
    Ok(())
}

/// Whether a statement can be one of a file without a profile, such as an abstraction.
fn is_part(input: &Input, statement: &Statement) -> bool {
    let is_include = statement
        .words
        .first()
        .is_some_and(|word| word.trim_start_matches('#') == "include");
    if !is_include {
        return is_known(statement) || line_without_comma(input, statement).is_some();
    }
    // firejail, make and C have includes, too: of bare names and of headers.
    let text = input.text().get(statement.span.clone()).unwrap_or_default();
    let text = text
        .trim_start_matches('#')
        .trim_start_matches("include")
        .trim_start();
    let text = text.strip_prefix("if exists").map_or(text, str::trim_start);
    let is_header = statement.words.iter().any(|word| word.contains(".h>"));
    text.starts_with(['<', '"', '/']) && !is_header && !text.contains(".h\"")
}

fn comma(input: &Input, statement: &Statement, end: End) -> Result<(), ParseError> {
    let missing = |at: usize| {
        let what = "the comma at the end of this rule is missing (read as AppArmor text)";
        Err(input.malformed(at, what))
    };
    // The head of a child profile may come behind it.
    if (statement.is_head || !is_known(statement))
        && let Some(at) = line_without_comma(input, statement)
    {
        return missing(at);
    }
    match end {
        End::None => missing(statement.span.end),
        End::Comma | End::Line | End::Brace => Ok(()),
    }
}

/// The end of the line that is a whole rule by itself, when a statement goes on after it.
fn line_without_comma(input: &Input, statement: &Statement) -> Option<usize> {
    let text = input.text().get(statement.span.clone())?;
    let mut ends = text
        .match_indices('\n')
        .take(MAX_RULE_LINES)
        .map(|(at, _)| at);
    let end = ends.find(|end| {
        let line = Statement {
            words: words(text.get(..*end).unwrap_or_default()),
            is_head: false,
            ..statement.clone()
        };
        is_known(&line)
    })?;
    Some(statement.span.start + text.get(..end)?.trim_end().len())
}
