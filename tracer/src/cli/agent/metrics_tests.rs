//! Tests of the metrics, and of what asks for them.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use tracer_core::{profile::seccomp::fixture::mixed, recording::Reason};

fn key(owner: &str) -> SpoolKey {
    SpoolKey {
        namespace: "shop".to_owned(),
        kind: "deployment".to_owned(),
        owner: owner.to_owned(),
        container: "nginx".to_owned(),
        ..SpoolKey::default()
    }
}

fn full() -> Metrics {
    let metrics = Metrics::new(2);
    let mut recording = mixed();
    recording.coverage.losses.accesses = 3;
    recording.coverage.reasons = vec![Reason::IoUring {}];
    metrics.workload(&key("we\"b\n"), &recording, 4);
    metrics.workload(&key("cart"), &mixed(), 0);
    metrics.workload(&key("db"), &mixed(), 1);
    let mut status = RecorderStatus {
        recorded: 7,
        ..RecorderStatus::default()
    };
    status.losses.calls = 2;
    metrics.checkpoint(status);
    metrics.reloaded("done");
    metrics.wrote(true);
    metrics.removed("oldest");
    metrics
}

#[test]
fn text_is_of_the_format_and_bounded() {
    let text = full().text();
    for line in [
        "tracer_containers_recorded 7",
        "tracer_losses_total{kind=\"calls\"} 2",
        "tracer_workload_losses{namespace=\"shop\",workload=\"deployment/we\\\"b\\n/nginx\",kind=\"accesses\"} 3",
        "tracer_workload_incomplete{namespace=\"shop\",workload=\"deployment/we\\\"b\\n/nginx\",reason=\"io-uring\"} 1",
        "tracer_workload_new_total{namespace=\"shop\",workload=\"deployment/cart/nginx\"} 0",
        "tracer_workloads_without_metrics 1",
        "tracer_spool_writes_total{result=\"done\"} 1",
        "tracer_spool_removed_total{reason=\"oldest\"} 1",
    ] {
        assert!(text.lines().any(|its| its == line), "{line}\n{text}");
    }
    assert!(!text.contains("deployment/db"));
    // Each sample is of the family above it, and each family is there once.
    let mut family = "";
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().unwrap();
            families.push(family);
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<u64>().is_ok(), "{line}");
        }
    }
    let known: Vec<_> = FAMILIES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        families.iter().collect::<BTreeSet<_>>().len(),
        families.len()
    );
    assert_eq!(
        families.iter().collect::<BTreeSet<_>>(),
        known.iter().collect()
    );
}

#[test]
fn health_is_of_the_loop_and_readiness_of_the_spool() {
    let metrics = Metrics::new(1);
    assert_eq!(metrics.problem(), None);
    assert!(metrics.missing().is_some());
    metrics.ready();
    metrics.turned();
    assert_eq!(metrics.missing(), None);
    metrics.wrote(false);
    assert!(metrics.missing().unwrap().contains("spool"));
    metrics.wrote(true);
    assert_eq!(metrics.missing(), None);
    // As when the loop has been stuck for a minute.
    let stuck = Metrics {
        began: Instant::now().checked_sub(Duration::from_secs(60)).unwrap(),
        ..Metrics::new(1)
    };
    assert!(stuck.problem().unwrap().contains("loop"));
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("tracer_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_dashboard_the_alerts_and_the_page_name_metrics_that_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let known: BTreeSet<_> = FAMILIES
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    for file in ["agent.grafana.json", "agent.alerts.yaml", "agent.md"] {
        let text = fs::read_to_string(docs.join(file)).unwrap();
        let named = named(&text);
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    // The page has all of them.
    let page = named(&fs::read_to_string(docs.join("agent.md")).unwrap());
    assert_eq!(page, known);
    let dashboard = fs::read_to_string(docs.join("agent.grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 4);
}
