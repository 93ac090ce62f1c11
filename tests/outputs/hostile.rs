//! A recording whose every text tries something is harmless in every form.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;
use tracer_tests::Outcome;

use super::{
    fixture::{HOSTILE, empty, hostile},
    renderers::{Models, documents},
};

/// The keys of a value and all below it, with the kinds of values: its shape, whatever is in it.
fn shape(value: &Value, at: &str, shape: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                self::shape(value, &format!("{at}/{key}"), shape);
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|it| self::shape(it, &format!("{at}/-"), shape)),
        _ => {
            shape.insert(at.to_owned());
        }
    }
}

fn shapes(models: &Models) -> Result<Vec<(String, BTreeSet<String>)>> {
    let all = models.all()?.into_iter();
    all.filter(|(name, _)| name.ends_with(".yaml"))
        .map(|(name, text)| {
            let mut whole = BTreeSet::new();
            for document in documents(&text)? {
                shape(&document, "", &mut whole);
            }
            Ok((name, whole))
        })
        .collect()
}

#[test]
fn hostile_text_adds_no_structure_to_any_format() -> Outcome {
    // The same recording with texts that try nothing.
    let plain: BTreeMap<_, _> = shapes(&Models::new(hostile("web"))?)?.into_iter().collect();
    for text in HOSTILE {
        let models = Models::new(hostile(text))?;
        // A name that no cluster takes is left out, and nothing comes in its place.
        for (name, found) in shapes(&models)? {
            let expected = &plain[&name];
            ensure!(
                found.is_subset(expected),
                "{text:?} in {name}: {expected:?} {found:?}"
            );
        }
        for (name, made) in models.all()? {
            let bad = made.chars().find(|c| {
                !(c.is_ascii_graphic() || *c == ' ' || *c == '\n' || c.is_alphanumeric())
            });
            // JSON of a seccomp profile holds names of calls only.
            ensure!(bad.is_none(), "{text:?} in {name}: {bad:?}\n{made}");
        }
    }
    Ok(())
}

#[test]
fn hostile_text_adds_no_flag_or_setting() -> Outcome {
    let kinds = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split('=').next().unwrap_or_default().to_owned())
            .collect()
    };
    let plain = Models::new(hostile("web"))?;
    for text in HOSTILE {
        let models = Models::new(hostile(text))?;
        ensure!(
            kinds(&models.drop_in()?.text) == kinds(&plain.drop_in()?.text),
            "{text:?}"
        );
        ensure!(
            kinds(&models.engine().flags().text) == kinds(&plain.engine().flags().text),
            "{text:?}"
        );
    }
    Ok(())
}

#[test]
fn invalid_object_names_are_rejected() {
    for name in ["Web", "a_b", "a+b", "x@1"] {
        let mut recording = empty();
        recording.workload.name = name.to_owned();
        let error = Models::new(recording).err().map(|it| it.to_string());
        assert!(
            error.is_some_and(|it| it.contains("give another name")),
            "{name}"
        );
    }
}
