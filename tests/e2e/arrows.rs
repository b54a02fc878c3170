//! Which crate may lean on which.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

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
            vec!["plimsoll-domain", "plimsoll-migration", "plimsoll-records"],
        ),
        ("bench", vec![]),
        ("proofs", vec![]),
        ("plimsoll-tests", vec![]),
    ];
    let expected: BTreeMap<String, BTreeSet<String>> = expected
        .into_iter()
        .map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(arrows, expected);
}

/// Every use of `Database::unguarded`, by file: all of them look at a database from outside, or
/// make the tables of one that is not Plimsoll's.
const UNGUARDED: &[(&str, usize)] = &[
    ("crates/domain/tests/behaviours/aggregates.rs", 1),
    ("crates/domain/tests/behaviours/beside.rs", 1),
    ("crates/domain/tests/behaviours/deleting.rs", 1),
    ("crates/domain/tests/behaviours/idempotency.rs", 1),
    ("crates/domain/tests/behaviours/pages.rs", 1),
    ("crates/domain/tests/behaviours/parents.rs", 1),
    ("crates/domain/tests/behaviours/purging.rs", 1),
    ("crates/domain/tests/behaviours/reading.rs", 2),
    ("crates/domain/tests/behaviours/related.rs", 1),
    ("crates/domain/tests/behaviours/retrying.rs", 1),
    ("crates/domain/tests/behaviours/schema.rs", 2),
    ("crates/domain/tests/behaviours/shelf.rs", 1),
    ("crates/domain/tests/behaviours/support.rs", 2),
    ("crates/domain/tests/behaviours/walls.rs", 1),
    ("crates/records/examples/library/main.rs", 1),
    ("crates/records/examples/library/tables.rs", 1),
    ("crates/records/tests/compile_fail/transactions.rs", 1),
];

#[test]
fn the_way_past_the_record_layer_is_taken_where_it_is_counted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeMap::new();
    for folder in ["crates", "entity", "migration", "tests"] {
        count_unguarded(&root, &root.join(folder), &mut found);
    }
    let expected: BTreeMap<String, usize> = UNGUARDED
        .iter()
        .map(|(file, uses)| ((*file).to_owned(), *uses))
        .collect();
    assert_eq!(found, expected);
}

fn count_unguarded(root: &Path, folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            count_unguarded(root, &path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            // Split, so that this file is none of them.
            let uses = text.matches(concat!(".unguar", "ded(")).count();
            if uses > 0 {
                let file = path.strip_prefix(root).expect("it is below the root");
                found.insert(file.to_string_lossy().into_owned(), uses);
            }
        }
    }
}
