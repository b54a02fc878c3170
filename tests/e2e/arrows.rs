//! Which crate may lean on which.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

#[test]
fn no_arrow_is_added_between_the_crates() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .expect("cargo knows the workspace");
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        let to = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| dependency.name.clone())
            .filter(|name| name.starts_with("plimsoll-") || name.starts_with("sea-orm"))
            .collect();
        arrows.insert(package.name.to_string(), to);
    }
    let expected = [
        ("plimsoll-records", vec!["sea-orm"]),
        ("plimsoll-entity", vec!["plimsoll-records", "sea-orm"]),
        ("plimsoll-migration", vec!["sea-orm-migration"]),
        (
            "plimsoll-domain",
            vec!["plimsoll-entity", "plimsoll-records", "sea-orm"],
        ),
        ("plimsoll-graphql", vec!["plimsoll-domain"]),
        (
            "plimsoll-server",
            vec!["plimsoll-domain", "plimsoll-graphql", "plimsoll-migration"],
        ),
        (
            "plimsoll-testkit",
            vec!["plimsoll-domain", "plimsoll-migration"],
        ),
        ("plimsoll-tests", vec![]),
    ];
    let expected: BTreeMap<String, BTreeSet<String>> = expected
        .into_iter()
        .map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(arrows, expected);
}
