//! `plimsoll import`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use plimsoll_domain::{
    self as domain, Settings,
    import::{Made, Summary},
};

use super::{
    Outcome, configuration, count, database::Database, explain, progress::bar, system, trouble,
};

#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    database: Database,
    /// The folder with the posts
    #[arg(value_name = "DIR", env = "PLIMSOLL_IMPORT_DIR")]
    dir: PathBuf,
    /// What the folder is called, for finding its posts again; its full path unless given
    #[arg(long, env = "PLIMSOLL_IMPORT_SOURCE", value_name = "NAME")]
    source: Option<String>,
}

pub(super) async fn run(import: Import) -> Outcome {
    let store = import
        .database
        .store(&import.database.url_or_demo()?, Settings::default())
        .await?;
    let dir = import.dir.canonicalize().map_err(|e| {
        configuration(format!(
            "the folder {} cannot be read: {e}",
            import.dir.display()
        ))
    })?;
    if !dir.is_dir() {
        return Err(configuration(format!(
            "{} is not a folder",
            import.dir.display()
        )));
    }
    let source = import.source.unwrap_or_else(|| dir.display().to_string());
    let bar = bar(0);
    let begun = std::time::Instant::now();
    let done = domain::import::run(&store, &system(), &dir, &source, |files, all| {
        bar.set_length(all as u64);
        bar.set_position(files as u64);
    })
    .await;
    bar.finish_and_clear();
    store.database().close().await;
    let summary = done.map_err(explain)?;
    report(&summary, begun.elapsed());
    if summary.failed.is_empty() {
        Ok(())
    } else {
        Err(trouble(format!(
            "{} could not be imported",
            count(summary.failed.len(), "file")
        )))
    }
}

fn report(summary: &Summary, took: Duration) {
    let list = |title: &str, entries: &[(String, String)]| {
        if !entries.is_empty() {
            println!("{title}");
            for (path, reason) in entries {
                println!("  {path}: {reason}");
            }
        }
    };
    println!(
        "{} in {:.1} s",
        count(summary.files, "file"),
        took.as_secs_f64()
    );
    println!("  created     {}", summary.created);
    println!("  updated     {}", summary.updated);
    println!("  unchanged   {}", summary.unchanged);
    println!("  left alone  {}", summary.left_alone.len());
    println!("  not posts   {}", summary.not_posts.len());
    println!("  failed      {}", summary.failed.len());
    let made = summary.made;
    if made != Made::default() {
        println!(
            "New beside the posts: {}, {}, {}.",
            count(made.users, "author"),
            if made.categories == 1 {
                "1 category".to_owned()
            } else {
                format!("{} categories", made.categories)
            },
            count(made.tags, "tag")
        );
    }
    if summary.changed_nothing() {
        println!("Nothing changed.");
    }
    if summary.categories_as_tags > 0 {
        println!(
            "With several categories: {}; the first is the category, the others are tags.",
            count(summary.categories_as_tags, "post")
        );
    }
    list(
        "Their slug was taken, so they got another:",
        &summary.renamed,
    );
    list("Left alone:", &summary.left_alone);
    list("Not posts:", &summary.not_posts);
    list("Failed:", &summary.failed);
    let counts = |counts: &std::collections::BTreeMap<String, usize>| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(what, n)| format!("{what} ({n})"))
            .collect();
        parts.join(", ")
    };
    if !summary.unused.is_empty() {
        println!(
            "Fields that a post has no place for: {}.",
            counts(&summary.unused)
        );
    }
    if !summary.others.is_empty() {
        println!("Other files, not read: {}.", counts(&summary.others));
    }
    if summary.hidden > 0 {
        println!("Hidden files and folders, not read: {}.", summary.hidden);
    }
    if summary.gone > 0 {
        println!(
            "From files that are not there any longer: {}, kept.",
            count(summary.gone, "post")
        );
    }
}
