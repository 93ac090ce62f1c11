//! What every store must do: one suite, run against each.

use std::{collections::BTreeMap, ops::ControlFlow};

use crate::{Listed, Put, Store, StoreError};

/// Asks all of it of an empty store.
///
/// # Errors
/// What the store does not do.
pub fn check(store: &dyn Store) -> Result<(), String> {
    keeps_what_is_put(store)?;
    never_changes(store)?;
    lists_by_whole_parts(store)?;
    refuses_names(store)?;
    many(store)?;
    deletes(store)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn ensure(condition: bool, what: &str) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(what.to_owned())
    }
}

fn list(store: &dyn Store, prefix: &str) -> Result<BTreeMap<String, Listed>, String> {
    let mut all = BTreeMap::new();
    let mut twice = None;
    store
        .list(prefix, &mut |it| {
            if let Some(other) = all.insert(it.name.clone(), it) {
                twice = Some(other.name);
            }
            ControlFlow::Continue(())
        })
        .map_err(text)?;
    twice.map_or(Ok(all), |name| Err(format!("{name} is listed twice")))
}

fn keeps_what_is_put(store: &dyn Store) -> Result<(), String> {
    ensure(list(store, "")?.is_empty(), "it is not empty")?;
    for (name, bytes) in [
        ("a/b/one", &b"1"[..]),
        ("a/b=3Ac/two", &[0; 100_000]),
        ("a/bc/three", b""),
    ] {
        ensure(!store.has(name).map_err(text)?, "it has what was not put")?;
        ensure(
            store.put(name, bytes).map_err(text)? == Put::Written,
            "a first put is not written",
        )?;
        ensure(
            store.has(name).map_err(text)?,
            "it does not have what was put",
        )?;
        ensure(
            store.get(name, 100_000).map_err(text)? == bytes,
            "it gives other bytes",
        )?;
    }
    let limited = store.get("a/b=3Ac/two", 99_999);
    ensure(
        matches!(limited, Err(StoreError::TooLarge { .. })),
        "it gives more than the limit",
    )?;
    let none = store.get("a/b/none", 10);
    ensure(
        matches!(none, Err(StoreError::NotFound(_))),
        "what is missing is not NotFound",
    )
}

fn never_changes(store: &dyn Store) -> Result<(), String> {
    ensure(
        store.put("a/b/one", b"other").map_err(text)? == Put::Present,
        "a second put is written",
    )?;
    ensure(
        store.get("a/b/one", 10).map_err(text)? == b"1",
        "a second put changes an object",
    )
}

fn lists_by_whole_parts(store: &dyn Store) -> Result<(), String> {
    let all = list(store, "")?;
    let names: Vec<_> = all.keys().map(String::as_str).collect();
    ensure(
        names == ["a/b/one", "a/b=3Ac/two", "a/bc/three"],
        "the list of all is another",
    )?;
    ensure(
        all.values().map(|it| it.bytes).eq([1, 100_000, 0]),
        "sizes are others",
    )?;
    ensure(
        all.values().all(|it| it.written_ms > 1_000_000_000_000),
        "times are others",
    )?;
    ensure(list(store, "a")?.len() == 3, "a prefix lists others")?;
    let below: Vec<_> = list(store, "a/b")?.into_keys().collect();
    ensure(
        below == ["a/b/one"],
        "a prefix lists what only begins with it",
    )?;
    ensure(
        list(store, "no/such")?.is_empty(),
        "an unknown prefix lists something",
    )?;
    let mut count = 0;
    let listed = store.list("", &mut |_| {
        count += 1;
        ControlFlow::Break(())
    });
    listed.map_err(text)?;
    ensure(count == 1, "a list goes on after it was told to end")
}

fn refuses_names(store: &dyn Store) -> Result<(), String> {
    for name in [
        "../x", "a/../x", "a//x", "/x", "a/.x", "a/./x", "a/x/", ".", "a\0b",
    ] {
        let refused = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Name(_)));
        ensure(
            refused(store.put(name, b"x").map(drop)),
            &format!("it puts {name:?}"),
        )?;
        ensure(
            refused(store.get(name, 10).map(drop)),
            &format!("it gets {name:?}"),
        )?;
        ensure(refused(store.delete(name)), &format!("it deletes {name:?}"))?;
    }
    Ok(())
}

/// More than a page of a list holds.
fn many(store: &dyn Store) -> Result<(), String> {
    for number in 0..1_100 {
        store
            .put(&format!("many/{number:04}"), b"x")
            .map_err(text)?;
    }
    ensure(list(store, "many")?.len() == 1_100, "a long list is cut")
}

fn deletes(store: &dyn Store) -> Result<(), String> {
    store.delete("a/b/one").map_err(text)?;
    store.delete("a/b/one").map_err(text)?;
    ensure(
        !store.has("a/b/one").map_err(text)?,
        "what was deleted is there",
    )?;
    ensure(
        store.put("a/b/one", b"2").map_err(text)? == Put::Written,
        "a name cannot be used again",
    )?;
    ensure(
        store.get("a/b/one", 10).map_err(text)? == b"2",
        "what was deleted comes back",
    )
}
