//! The documents say what is true: no placeholder is left, and what they link to is there.

use std::{fs, path::Path};

const DOCUMENTS: [&str; 25] = [
    "docs/glossary.md",
    "docs/usage.md",
    "docs/apparmor.md",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/arguments.md",
    "docs/audit.md",
    "docs/audit-rules.md",
    "docs/completeness.md",
    "docs/diff.md",
    "docs/explain.md",
    "docs/formats.md",
    "docs/install.md",
    "docs/limits.md",
    "docs/benchmarks.md",
    "docs/portability.md",
    "docs/report.md",
    "docs/verify.md",
    "docs/watch.md",
    "docs/enforce.md",
    "profiles-out/README.md",
    "examples/README.md",
];

#[test]
fn documents_have_no_placeholders_or_dead_links() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for document in DOCUMENTS {
        let path = root.join(document);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{document}: {e}"));
        for placeholder in ["BENCH_", "EXCERPT", "KERNELS_TRIED", "TODO"] {
            assert!(!text.contains(placeholder), "{document}: {placeholder}");
        }
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if !link.starts_with("http") && !link.starts_with('#') {
                let target = path.parent().unwrap().join(link.split('#').next().unwrap());
                assert!(target.exists(), "{document} links to {link}");
            }
        }
    }
}
