//! Tests of where settings come from.

use std::collections::BTreeSet;

use clap::{Args as _, Parser};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: SettingsArgs,
}

fn resolved(
    file: &str,
    variables: &[(&str, &str)],
    line: &[&str],
) -> anyhow::Result<Configuration> {
    let line = Line::try_parse_from(std::iter::once("agent").chain(line.iter().copied()))?;
    let variable = |name: &str| {
        let found = variables.iter().find(|(its, _)| *its == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    resolve(
        Path::new("agent.toml"),
        file,
        variable,
        line.settings.given(),
    )
}

#[test]
fn flags_count_more_than_variables_and_these_more_than_the_file() {
    let file = "cluster = \"file\"\ninclude = [\"namespace=file\"]\n[spool]\nmax_bytes = 2000000\n";
    let settings = resolved(file, &[], &[]).unwrap();
    assert_eq!(
        (settings.cluster.as_str(), settings.spool.max_bytes),
        ("file", 2_000_000)
    );
    let variables = [
        ("TRACER_CLUSTER", "variable"),
        ("TRACER_SPOOL_MAX_BYTES", "3000000"),
        ("TRACER_INCLUDE", "namespace=a; namespace=b"),
    ];
    let settings = resolved(file, &variables, &[]).unwrap();
    assert_eq!(
        (settings.cluster.as_str(), settings.spool.max_bytes),
        ("variable", 3_000_000)
    );
    assert_eq!(settings.include.len(), 2);
    let line = [
        "--cluster=flag",
        "--workload={select=\"name=a\", until_stable=\"10m\"}",
    ];
    let settings = resolved(file, &variables, &line).unwrap();
    assert_eq!(settings.cluster, "flag");
    assert_eq!(settings.workload.len(), 1);
    // The other keys of a table stay.
    assert_eq!(settings.spool.directory, "/var/lib/tracer/spool");
}

#[test]
fn mistakes_name_their_place() {
    for (file, expected) in [
        (
            "cluster = \"a\"\nnamespace = \"b\"\n",
            "agent.toml:2:1: unknown field `namespace`",
        ),
        (
            "[spool]\nbytes = 1\n",
            "agent.toml:2:1: unknown field `bytes`",
        ),
        (
            "include = [\"nmespace=a\"]\n",
            "agent.toml:1:11: a container has no \"nmespace\"",
        ),
        ("cluster = 7\n", "agent.toml:1:11: invalid type"),
        (
            "cluster = \"a\"\ncluster = \"b\"\n",
            "agent.toml:2:1: duplicate key",
        ),
        (
            "[rollout]\nquiet = \"soon\"\n",
            "agent.toml:2:9: give a time",
        ),
        ("cluster", "agent.toml:1:"),
        ("[spool]\nmax_bytes = 1\n", "spool.max_bytes is 1"),
        ("listen = \"9465\"\n", "listen is \"9465\""),
    ] {
        let error = format!("{:#}", resolved(file, &[], &[]).unwrap_err());
        assert!(error.starts_with(expected), "{file}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    for (variables, line, expected) in [
        (
            &[("TRACER_INCLUDE", "shop")][..],
            &[][..],
            "TRACER_INCLUDE: \"shop\" is no condition",
        ),
        (
            &[],
            &["--spool-max-bytes=many"],
            "--spool-max-bytes: \"many\" is not a number",
        ),
        (
            &[],
            &["--workload=duration"],
            "--workload: \"duration\" is not a TOML table",
        ),
        (
            &[],
            &["--workload={select=\"name=a\", kind=1}"],
            "--workload: unknown field `kind`",
        ),
        (
            &[],
            &["--log-format=xml"],
            "--log-format: unknown variant `xml`",
        ),
    ] {
        let error = format!("{:#}", resolved("", variables, line).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
}

/// What the schema has is what the flags have.
#[test]
fn every_key_is_a_flag_and_a_variable() {
    let schema = schemars::schema_for!(Configuration).to_value();
    let properties = |of: &serde_json::Value| -> Vec<String> {
        of["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let mut expected = BTreeSet::new();
    for key in properties(&schema) {
        match key.as_str() {
            "spool" | "rollout" | "ship" | "kubernetes" => {
                let name = match key.as_str() {
                    "spool" => "Spool",
                    "rollout" => "Rollout",
                    "ship" => "Ship",
                    _ => "Kubernetes",
                };
                let inner = properties(&schema["$defs"][name]);
                expected.extend(inner.into_iter().map(|it| format!("{key}.{it}")));
            }
            _ => drop(expected.insert(key)),
        }
    }
    let known: BTreeSet<_> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(known, expected);
    let command = SettingsArgs::augment_args(clap::Command::new("agent"));
    let flags: BTreeSet<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|flag| *flag != "config")
        .map(str::to_owned)
        .collect();
    assert_eq!(flags, known.iter().map(|key| flag_name(key)).collect());
}

/// Each flag is read into its own key.
#[test]
fn flags_are_in_the_order_of_the_keys() {
    for (number, (key, kind)) in KEYS.into_iter().enumerate() {
        let line = ["agent".to_owned(), format!("--{}=it", flag_name(key))];
        let given = Line::try_parse_from(line).unwrap().settings.given();
        for (other, values) in given.iter().enumerate() {
            let expected: &[&str] = if other == number { &["it"] } else { &[] };
            assert_eq!(values, expected, "{key} {kind:?}");
        }
    }
}
