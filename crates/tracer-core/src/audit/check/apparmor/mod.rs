//! AppArmor text: the profiles are resolved ([`apparmor_policy`](super::super::apparmor_policy)), and a file for each
//! kind of question asks them.

mod dangers;
mod denials;
mod files;
mod kernel;
mod leaving;
mod recordings;
mod write_exec;

use super::{
    super::{
        Context, Findings, Severity,
        apparmor_policy::{
            Budget, Glob, Included, Policy, Problem, ProblemKind, Profile, Rule, Search, find,
        },
        finding::Added,
        rules,
    },
    legacy,
};
use crate::parse::{AppArmor, Form, apparmor::Statement};
use dangers::Danger;

pub(in super::super) fn check(read: &AppArmor, context: &Context<'_>, out: &mut Findings<'_>) {
    heads(read, out);
    if let Some(object) = &read.object {
        legacy::old_resource(object, out);
    }
    let policy = Policy::new(read, context.includes);
    undefined(read, &policy.problems, out);
    // Where the machine has AppArmor's own files, a file that is not there is missing.
    let has_files = matches!((context.includes)("tunables/global"), Included::Files(_));
    for problem in &policy.problems {
        report_problem(problem, has_files, out);
    }
    let mut asked = Asked {
        policy: &policy,
        dangers: &files::compiled(),
        budget: &mut Budget::new(),
        out,
        unknown: false,
    };
    for profile in &policy.profiles {
        flags(profile, &mut asked);
        files::check(profile, &mut asked);
        leaving::check(profile, &mut asked);
        let as_default = files::is_as_default(profile, &mut asked);
        kernel::check(profile, as_default, &mut asked);
        denials::check(profile, &mut asked);
    }
    recordings::check(context, &mut asked);
    if asked.unknown || asked.budget.is_spent() {
        let span = policy.profiles.first().map(|it| it.span.clone());
        out.add(
            &rules::APPARMOR_NOT_UNDERSTOOD,
            span.unwrap_or_default(),
            "the patterns of the paths are too complex: not all rules were compared",
        );
    }
}

/// What questions are asked of, and where the answers go.
struct Asked<'a, 'input> {
    policy: &'a Policy,
    dangers: &'a [(&'static Danger, Vec<Glob>)],
    budget: &'a mut Budget,
    out: &'a mut Findings<'input>,
    /// Whether a question took too long.
    unknown: bool,
}

impl Asked<'_, '_> {
    /// Whether no more questions are answered.
    fn is_spent(&self) -> bool {
        self.budget.is_spent()
    }

    /// Looks for a path that one of each list of `all` stands for, none of `none`, and no rule that takes back one of
    /// the permissions `letters` that `rules` give.
    fn search(
        &mut self,
        all: &[&[Glob]],
        (profile, rules, letters): (&Profile, &[&Rule], &str),
        none: &[&Glob],
    ) -> Search {
        let mut found = find(all, none, self.budget);
        // Most pairs of patterns have no path in common: then no other rule matters.
        if let Search::Found(_) = found {
            let mut none = none.to_vec();
            for letter in letters.chars() {
                none.extend(profile.blockers(rules, letter));
            }
            found = match self.budget.spend(profile.blocking_count()) {
                Some(()) => find(all, &none, self.budget),
                None => Search::Unknown,
            };
        }
        self.unknown |= found == Search::Unknown;
        found
    }

    /// Whether a profile is the one with a number.
    fn is_at(&self, at: usize, profile: &Profile) -> bool {
        let it = self.policy.profiles.get(at);
        it.is_some_and(|it| it.name == profile.name)
    }

    /// Adds a finding about a rule; of an included file's, with the file's name.
    fn add(&mut self, id: &'static rules::Rule, rule: &Rule, message: String) -> Added<'_> {
        let message = message + &origin(rule);
        self.out.add(id, rule.span.clone(), message)
    }
}

/// The included file that a rule is of.
fn origin(rule: &Rule) -> String {
    let from = rule.from.as_ref();
    from.map(|from| format!(" (in {from})")).unwrap_or_default()
}

fn report_problem(problem: &Problem, has_files: bool, out: &mut Findings<'_>) {
    let from = problem.from.as_ref();
    let place = from.map(|from| format!(" (in {from})")).unwrap_or_default();
    let (rule, message) = match &problem.what {
        ProblemKind::NotUnderstood { rule, why } => (
            &rules::APPARMOR_NOT_UNDERSTOOD,
            format!("`{rule}` was not understood, and not audited: {why}"),
        ),
        ProblemKind::Undefined { .. } => return,
        ProblemKind::NotIncluded { name, why } => (
            &rules::APPARMOR_NOT_INCLUDED,
            format!("{name} was not read, and its rules not audited: {why}"),
        ),
    };
    let is_missing = rule.id == rules::APPARMOR_NOT_INCLUDED.id && has_files;
    let added = out.add(rule, problem.span.clone(), message + &place);
    if is_missing {
        added
            .severity(Severity::Medium)
            .fix("Write the file, correct its name, or use `include if exists`: apparmor_parser refuses the profile without it.");
    }
}

/// Variables without a value: most often one include is missing for all of them.
fn undefined(read: &AppArmor, problems: &[Problem], out: &mut Findings<'_>) {
    let of = |problem: &Problem| match &problem.what {
        ProblemKind::Undefined { rule, why } => Some(format!("in `{rule}`, {why}")),
        ProblemKind::NotUnderstood { .. } | ProblemKind::NotIncluded { .. } => None,
    };
    let mut all = problems
        .iter()
        .filter_map(|problem| Some((problem, of(problem)?)));
    if let Some((first, message)) = all.next() {
        let more: Vec<String> = all.map(|(_, message)| message).take(20).collect();
        // A file that was not read may define it, and a file without a preamble may be a part of another.
        let has_preamble = read.statements.iter().any(|it| it.profile == 0);
        let is_certain = has_preamble
            && !problems
                .iter()
                .any(|problem| matches!(problem.what, ProblemKind::NotIncluded { .. }));
        let severity = if is_certain {
            rules::APPARMOR_UNDEFINED_VARIABLE.severity
        } else {
            Severity::Medium
        };
        out.add(
            &rules::APPARMOR_UNDEFINED_VARIABLE,
            first.span.clone(),
            message,
        )
        .severity(severity)
        .evidence(more);
    }
}

/// What the text as a whole lacks.
fn heads(read: &AppArmor, out: &mut Findings<'_>) {
    let is_abi = |it: &Statement| it.words.first().is_some_and(|word| word == "abi");
    // The operator writes the text of an object.
    let has_abi = read.form != Form::AppArmor || read.statements.iter().any(is_abi);
    // A hat in a file of its own is included where the abi is given.
    let is_hat = |it: &Statement| {
        let first = it.words.first().map_or("", String::as_str);
        first.starts_with('^') || first == "hat"
    };
    let mut heads = read.statements.iter().filter(|it| it.is_head);
    let first = heads.find(|it| it.outer != 0 || !is_hat(it));
    if let Some(first) = first.filter(|_| !has_abi) {
        out.add(
            &rules::APPARMOR_NO_ABI,
            first.span.clone(),
            "no abi is given",
        );
    }
}

/// Modes in which a profile confines nothing.
fn flags(profile: &Profile, asked: &mut Asked<'_, '_>) {
    let span = || profile.span.clone();
    if profile.has_flag("complain") {
        asked
            .out
            .add(&rules::APPARMOR_COMPLAIN, span(), "flags has complain");
    }
    if profile.has_flag("unconfined") {
        asked
            .out
            .add(&rules::APPARMOR_COMPLAIN, span(), "flags has unconfined")
            .severity(Severity::High)
            .fix("Remove unconfined from flags.");
    }
    for flag in ["default_allow", "allow_all"] {
        if profile.has_flag(flag) {
            asked
                .out
                .add(
                    &rules::APPARMOR_ALLOWS_EVERYTHING,
                    span(),
                    format!("flags has {flag}: what no rule denies is allowed"),
                )
                .fix(format!("Remove {flag} from flags, and allow what is used."));
        }
    }
}
