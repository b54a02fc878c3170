//! The import of a folder of Markdown posts, on every engine.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use plimsoll_domain::{
    Patch, Role, Scope, Version, Viewer, category,
    import::{self, Made, Summary},
    post::{self, Post, UpdatePost},
    session, tag, user,
};
use plimsoll_records::{Rows, Whole};
use plimsoll_testkit::{World, on_every_engine};
use tempfile::TempDir;

/// Imports a folder under this name.
async fn import_as(world: &World, dir: &Path, source: &str) -> Summary {
    let request = world.request(Viewer::System);
    let mut last = (0, 0);
    let summary = import::run(&world.store, &request, dir, source, |done, all| {
        assert!(done >= last.0 && done <= all, "progress goes forward");
        last = (done, all);
    })
    .await
    .expect("the import runs to its end");
    assert_eq!(last, (summary.files, summary.files), "progress ends");
    assert_eq!(
        summary.files,
        summary.created
            + summary.updated
            + summary.unchanged
            + summary.left_alone.len()
            + summary.not_posts.len()
            + summary.failed.len(),
        "no file is lost: {summary:#?}"
    );
    summary
}

async fn import(world: &World, dir: &Path) -> Summary {
    import_as(world, dir, "folder").await
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder can be made");
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("a folder is made");
    fs::write(file, text).expect("a file is written");
}

/// A small post.
fn page(title: &str, more: &str) -> String {
    format!("---\ntitle: {title}\ndate: 2024-01-02\n{more}---\nText of {title}.\n")
}

/// Every post, deleted ones as well, with its text.
async fn posts(world: &World) -> Vec<Post> {
    Rows::<plimsoll_entity::post::Entity>::with_deleted()
        .with(plimsoll_entity::post::Column::Content)
        .all(10_000, &world.store.read())
        .await
        .expect("posts can be read")
}

async fn sources(world: &World) -> Vec<plimsoll_entity::import_source::Model> {
    Rows::<plimsoll_entity::import_source::Entity>::live()
        .all(10_000, &world.store.read())
        .await
        .expect("sources can be read")
}

/// Every post by the file that it was made of.
async fn by_file(world: &World) -> BTreeMap<String, Post> {
    let posts: HashMap<_, _> = posts(world)
        .await
        .into_iter()
        .map(|post| (post.id, post))
        .collect();
    sources(world)
        .await
        .into_iter()
        .map(|source| (source.path, posts[&source.post_id].clone()))
        .collect()
}

/// The post with this slug, which must be there.
async fn found(world: &World, slug: &str) -> Post {
    post::by_slug(&world.store.read(), &Viewer::System, Scope::Live, slug)
        .await
        .expect("posts can be read")
        .unwrap_or_else(|| panic!("there is no post {slug}"))
}

/// Who wrote a post, what it is in, and how it is tagged.
#[derive(Debug, PartialEq, Eq)]
struct Around {
    /// The author, and then the co-authors: name and address.
    authors: Vec<(String, String)>,
    category: Option<String>,
    tags: Vec<String>,
}

async fn around(world: &World, post: &Post) -> Around {
    let read = world.store.read();
    let (viewer, id) = (Viewer::System, post.id.into());
    let author = post.author_id.into();
    let author = user::by_ids(&read, Whole, &viewer, Scope::WithDeleted, &[author]).await;
    let author = author.expect("users can be read").remove(&author_id(post));
    let with = user::co_authors_of_posts(&read, Whole, &[id]).await;
    let with = with.expect("co-authors can be read").remove(&id);
    let authors = author.into_iter().chain(with.unwrap_or_default());
    let mut category = None;
    if let Some(in_it) = post.category_id {
        let found = category::by_ids(&read, Whole, &viewer, Scope::Live, &[in_it.into()]).await;
        let found = found.expect("categories can be read").remove(&in_it.into());
        category = found.map(|category| category.name);
    }
    let tags = tag::of_posts(&read, Whole, &[id]).await;
    let tags = tags.expect("tags can be read").remove(&id);
    Around {
        authors: authors.map(|user| (user.name, user.email)).collect(),
        category,
        tags: tags
            .unwrap_or_default()
            .into_iter()
            .map(|tag| tag.name)
            .collect(),
    }
}

fn author_id(post: &Post) -> uuid::Uuid {
    post.author_id.into()
}

async fn edit(world: &World, post: &Post, title: &str) {
    let command = UpdatePost {
        id: post.id,
        seen: Version(post.lock_version),
        title: Patch::Set(title.into()),
        slug: Patch::Keep,
        content: Patch::Keep,
        category: Patch::Keep,
    };
    let request = world.request(Viewer::System);
    world
        .run(request, |tx, viewer| {
            Box::pin(async move { post::update(tx, viewer, command).await })
        })
        .await
        .expect("a post can be edited");
}

async fn delete(world: &World, post: &Post) {
    let (id, seen) = (post.id, Version(post.lock_version));
    let request = world.request(Viewer::System);
    world
        .run(request, move |tx, viewer| {
            Box::pin(async move { post::delete(tx, viewer, id, seen).await })
        })
        .await
        .expect("a post can be deleted");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures() -> PathBuf {
    root().join("tests/fixtures/import")
}

fn ada() -> (String, String) {
    ("Ada Mast".into(), "ada@example.org".into())
}

/// Somebody without an address.
fn unaddressed(name: &str, slug: &str) -> (String, String) {
    (name.into(), format!("{slug}@import.invalid"))
}

/// What one file of the fixtures becomes: title, slug, when it was published, and what is
/// around it. A draft has no date.
fn expected(path: &str) -> (&'static str, &'static str, Option<&'static str>, Around) {
    let around = |authors: &[(String, String)], category: Option<&str>, tags: &[&str]| Around {
        authors: authors.to_vec(),
        category: category.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let nobody = || unaddressed("Unknown author", "unknown");
    let bare_ada = || unaddressed("Ada Mast", "ada-mast");
    let ben = || unaddressed("Ben Keel", "ben-keel");
    let cy = || unaddressed("Cy Rudder", "cy-rudder");
    match path {
        "zola/maiden-voyage.md" => (
            "The maiden voyage",
            "maiden-voyage",
            Some("2024-05-06T05:08:09Z"),
            around(&[bare_ada()], Some("News"), &["ships", "launch day"]),
        ),
        "zola/load-lines.md" => (
            "Load lines 1.0",
            "load-lines-1.0",
            Some("2014-09-15T00:00:00Z"),
            around(
                &[
                    bare_ada(),
                    ben(),
                    unaddressed("The Harbour Team", "the-harbour-team"),
                ],
                None,
                &[],
            ),
        ),
        "zola/2018-10-10-harbour/index.md" => (
            "A harbour with a picture",
            "harbour",
            Some("2018-10-10T00:00:00Z"),
            around(&[ada()], None, &[]),
        ),
        "hugo/content/post/anchor/index.md" => (
            "Anchors aweigh",
            "weigh-anchor",
            None,
            around(
                &[bare_ada(), ("Cy Rudder".into(), "cy@example.org".into())],
                None,
                &["ships", "anchors"],
            ),
        ),
        "hugo/content/post/tide.md" => (
            "Tides, and what they carry",
            "tide",
            Some("2023-03-02T04:30:00Z"),
            around(&[cy(), ben()], Some("The sea"), &["tides", "moon phases"]),
        ),
        "astro/src/content/blog/components.mdx" => (
            "Components: é, 漢字, 🚢",
            "components",
            Some("2022-07-09T00:00:00Z"),
            around(
                &[unaddressed("Klabnik, Steve", "klabnik-steve")],
                None,
                &["été"],
            ),
        ),
        "astro/src/content/blog/first-post.md" => (
            "First post",
            "first-post",
            Some("2022-07-08T00:00:00Z"),
            around(&[nobody()], None, &[]),
        ),
        "jekyll/_drafts/undated.md" => (
            "An idea without a date",
            "undated",
            None,
            // Jekyll takes the folders around `_drafts` and `_posts` for categories.
            around(&[nobody()], Some("jekyll"), &[]),
        ),
        "jekyll/_posts/2024-05-06-plimsoll-line.md" => (
            "The line: a mark on a hull",
            "plimsoll-line",
            Some("2016-05-26T00:00:00Z"),
            around(
                &[ada()],
                Some("history"),
                &["ships", "load line", "1876", "safety", "jekyll"],
            ),
        ),
        "jekyll/_posts/2024-05-07-date-in-the-name.markdown" => (
            "The date is in the name",
            "date-in-the-name",
            None,
            around(
                &[("Ben Keel".into(), "ben@example.org".into())],
                Some("jekyll"),
                &[],
            ),
        ),
        "jekyll/news/_posts/2024-05-08-windows.md" => (
            "Written on Windows",
            "windows",
            Some("2024-05-08T00:00:00Z"),
            around(&[nobody()], Some("jekyll"), &["crlf", "bom", "news"]),
        ),
        other => panic!("{other} is no post"),
    }
}

/// The files of the fixtures that are not imported, each with words of the reason.
const NOT_POSTS: [(&str, &str); 5] = [
    ("hugo/content/_index.md", "a section of the site"),
    ("jekyll/old-address.md", "only redirects"),
    ("mistakes/README.md", "no front matter"),
    ("zola/_index.md", "a section of the site"),
    ("zola/about.md", "a page and not a post"),
];

const MISTAKES: [(&str, &str); 13] = [
    ("hugo/content/post/json.md", "front matter is JSON"),
    ("mistakes/alias-bomb.md", "aliases make it too large"),
    ("mistakes/bad-date.md", "`2024-02-30` is not a date"),
    ("mistakes/bad-toml.md", "as TOML (line 5)"),
    ("mistakes/bad-yaml.md", "as YAML (line 2)"),
    ("mistakes/escaped-nul.md", "`title` contains a NUL"),
    ("mistakes/key-twice.md", "`title` is given twice"),
    ("mistakes/latin-1.md", "not valid UTF-8 (line 5)"),
    ("mistakes/no-title.md", "no title"),
    ("mistakes/nul.md", "line 5 contains a NUL"),
    ("mistakes/unclosed.md", "not closed"),
    ("mistakes/wrong-type.md", "`title` is not text"),
    ("mistakes/year-999.md", "not within the years"),
];

#[track_caller]
fn assert_reasons(found: &[(String, String)], expected: &[(&str, &str)]) {
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, wanted);
    for ((path, reason), (_, words)) in found.iter().zip(expected) {
        assert!(reason.contains(words), "{path}: {reason}");
    }
}

on_every_engine! {
    /// sqlx sends times to MariaDB as TIMESTAMP unless told otherwise, which ends in 2038.
    async fn dates_of_a_thousand_years_ago_and_ahead_are_kept(world) {
        let years = ["1000-01-01", "1965-06-07", "2024-02-29", "2045-08-09", "9999-12-31"];
        let files: Vec<(String, String)> = years
            .iter()
            .map(|date| (format!("{date}.md"), format!("---\ntitle: D{date}\ndate: {date}\n---\n")))
            .collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let dir = folder(&files);
        assert_eq!(import(&world, dir.path()).await.created, years.len());
        // Page by page, so that each date is a cursor as well.
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let arguments =
                plimsoll_domain::PageArguments { first: Some(1), after, ..Default::default() };
            let order = (post::PostOrder::PublishedAt, plimsoll_domain::Direction::Ascending);
            let page = post::page(
                &world.store.read(), Whole,
                &Viewer::Anonymous,
                Scope::Live,
                post::PostFilter::default(),
                order,
                &arguments,
            )
            .await
            .expect("a page");
            let Some((cursor, post)) = page.edges().next() else { break };
            let date = post.published_at.expect("it is published").format("%Y-%m-%d");
            assert_eq!(post.title, format!("D{date}"));
            seen.push(date.to_string());
            after = Some(cursor.to_string());
        }
        assert_eq!(seen, years);
    }

    async fn every_form_of_front_matter_comes_in(world) {
        let summary = import(&world, &fixtures()).await;
        assert_eq!((summary.files, summary.created), (29, 11));
        assert_reasons(&summary.not_posts, &NOT_POSTS);
        assert_reasons(&summary.failed, &MISTAKES);
        assert_eq!(summary.made, Made { users: 9, categories: 4, tags: 13 });
        assert_eq!(summary.renamed, []);
        let others = [("svg".to_owned(), 2), ("txt".to_owned(), 1)];
        assert_eq!(summary.others, BTreeMap::from(others));
        assert_eq!(summary.hidden, 1);
        assert_eq!(summary.unused["extra.team"], 1);

        let posts = by_file(&world).await;
        assert_eq!(posts.len(), 11);
        for (path, post) in posts {
            let (title, slug, published, what) = expected(&path);
            let at = published.map(|at| at.parse().expect("a date"));
            assert_eq!(
                (post.title.as_str(), post.slug.as_str(), post.published, post.published_at),
                (title, slug, published.is_some(), at),
                "{path}"
            );
            assert_eq!(around(&world, &post).await, what, "{path}");
            let content = post.content.get().expect("the text was read");
            let file = fs::read(fixtures().join(&path)).expect("the file is there");
            assert!(file.ends_with(content.as_bytes()), "{path}: {content:?}");
        }
        let toml = found(&world, "maiden-voyage").await;
        let texts = post::contents(&world.store.read(), &Viewer::System, &[toml.id.into()]).await;
        assert_eq!(
            texts.expect("texts can be read")[&toml.id.into()],
            "\nThe first line after a blank one.\n\n+++\n\nA line of three plus signs is content here.\n"
        );
    }

    async fn a_second_run_changes_nothing_and_says_so(world) {
        let first = import(&world, &fixtures()).await;
        let (before, kept) = (posts(&world).await, sources(&world).await);
        assert!(!first.changed_nothing());
        let second = import(&world, &fixtures()).await;
        assert!(second.changed_nothing());
        assert_eq!((second.created, second.updated, second.unchanged), (0, 0, 11));
        assert_eq!(second.made, Made::default());
        assert_eq!((second.not_posts, second.failed), (first.not_posts, first.failed));
        assert_eq!((second.gone, second.left_alone.len()), (0, 0));
        assert_eq!(posts(&world).await, before);
        assert_eq!(sources(&world).await, kept);
    }

    async fn a_changed_file_updates_its_post_and_no_other(world) {
        let dir = folder(&[
            ("a.md", &page("One", "author: Ada Mast\ntags: [x, y]\ncategory: C\n")),
            ("b.md", &page("Two", "")),
        ]);
        import(&world, dir.path()).await;
        let before = by_file(&world).await;
        let text = "+++\ntitle = \"Uno\"\ndate = 2024-03-04\nauthors = [\"Ben Keel\", \"Ada Mast\"]\n\
                    tags = [\"z\"]\n+++\r\nNew.\r\n";
        write(dir.path(), "a.md", text);
        let summary = import(&world, dir.path()).await;
        assert_eq!((summary.created, summary.updated, summary.unchanged), (0, 1, 1));
        assert_eq!(summary.made, Made { users: 1, categories: 0, tags: 1 });
        let after = by_file(&world).await;
        let (one, two) = (&after["a.md"], &after["b.md"]);
        assert_eq!(two, &before["b.md"]);
        assert_eq!(one.id, before["a.md"].id);
        assert_eq!((one.title.as_str(), one.slug.as_str()), ("Uno", "a"));
        assert_eq!(one.content.get().map(String::as_str), Some("New.\r\n"));
        assert_eq!(one.published_at, Some("2024-03-04T00:00:00Z".parse().expect("a date")));
        let what = around(&world, one).await;
        assert_eq!(what.authors[0].0, "Ben Keel");
        assert_eq!((what.authors[1].0.as_str(), what.authors.len()), ("Ada Mast", 2));
        assert_eq!((what.category, what.tags), (None, vec!["z".to_owned()]));

        // The update counts as the import's own: it can be repeated.
        assert!(import(&world, dir.path()).await.changed_nothing());
        write(dir.path(), "a.md", &page("Again", ""));
        assert_eq!(import(&world, dir.path()).await.updated, 1);
    }

    async fn a_post_that_was_edited_or_deleted_here_is_left_alone_and_named(world) {
        let dir = folder(&[
            ("edited.md", &page("Edited", "")),
            ("deleted.md", &page("Deleted", "")),
            ("same.md", &page("Same", "")),
        ]);
        import(&world, dir.path()).await;
        let before = by_file(&world).await;
        edit(&world, &before["edited.md"], "By hand").await;
        edit(&world, &before["same.md"], "Also by hand").await;
        delete(&world, &before["deleted.md"]).await;
        assert_eq!(import(&world, dir.path()).await.unchanged, 3);

        for file in ["edited", "deleted"] {
            write(dir.path(), &format!("{file}.md"), &page("New", "author: New\ntags: [new]\n"));
        }
        for _ in 0..2 {
            let summary = import(&world, dir.path()).await;
            assert_eq!((summary.updated, summary.unchanged), (0, 1));
            assert_reasons(
                &summary.left_alone,
                &[("deleted.md", "deleted"), ("edited.md", "since it was imported")],
            );
            assert_eq!(summary.made, Made::default(), "nothing is made for them");
        }
        let after = by_file(&world).await;
        assert_eq!(after["edited.md"].title, "By hand");
        assert_eq!(after["deleted.md"].title, "Deleted");
        assert!(after["deleted.md"].deleted_at.is_some());
    }

    async fn the_post_of_a_file_that_is_gone_stays_and_is_counted(world) {
        let dir = folder(&[
            ("gone.md", &page("Gone", "")),
            ("broken.md", &page("Broken", "")),
            ("page.md", &page("Page", "")),
            ("stays.md", &page("Stays", "")),
        ]);
        import(&world, dir.path()).await;
        fs::remove_file(dir.path().join("gone.md")).expect("a file can be removed");
        // These are still there, and nothing is known to have happened to their posts.
        write(dir.path(), "broken.md", "---\ntitle: [\n---\n");
        write(dir.path(), "page.md", "---\ntitle: A page\n---\n");
        let summary = import(&world, dir.path()).await;
        assert_eq!((summary.gone, summary.unchanged), (1, 1));
        assert_eq!((summary.failed.len(), summary.not_posts.len()), (1, 1));
        assert_eq!(posts(&world).await.len(), 4);
        assert!(posts(&world).await.iter().all(|post| post.deleted_at.is_none()));
    }

    async fn slugs_that_are_taken_get_the_date_and_then_a_number(world) {
        let author = world.user("grace", Role::User).await;
        world.draft(&author, "Tide").await;
        let dir = folder(&[
            ("a/tide.md", &page("A", "")),
            ("b/TIDE.md", &page("B", "")),
            ("c/tide.md", &page("C", "")),
            ("d/tide.md", "---\ntitle: D\ndraft: true\n---\n"),
        ]);
        let slugs = async || -> Vec<(String, String)> {
            let files = by_file(&world).await;
            files.into_iter().map(|(path, post)| (path, post.slug)).collect()
        };
        let summary = import(&world, dir.path()).await;
        let expected = [
            ("a/tide.md", "tide-2024-01-02"),
            ("b/TIDE.md", "tide-2"),
            ("c/tide.md", "tide-3"),
            ("d/tide.md", "tide-4"),
        ]
        .map(|(path, slug)| (path.to_owned(), slug.to_owned()));
        assert_eq!(slugs().await, expected);
        assert_eq!(summary.renamed, expected);

        let second = import(&world, dir.path()).await;
        assert_eq!((second.unchanged, second.renamed.len()), (4, 0));
        assert_eq!(slugs().await, expected);
        // Also when the file changes: addresses that people know keep working.
        write(dir.path(), "b/TIDE.md", &page("B again", ""));
        assert_eq!(import(&world, dir.path()).await.updated, 1);
        assert_eq!(slugs().await, expected);
    }

    async fn many_posts_with_one_slug_all_come_in(world) {
        let files: Vec<(String, String)> = (0..12)
            .map(|n| (format!("{n:02}/same.md"), page(&format!("No. {n}"), "")))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let dir = folder(&files);
        assert_eq!(import(&world, dir.path()).await.created, 12);
        let mut slugs: Vec<String> = posts(&world).await.into_iter().map(|p| p.slug).collect();
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), 12);
        assert_eq!(import(&world, dir.path()).await.unchanged, 12);
    }

    async fn content_is_kept_byte_for_byte(world) {
        let texts = [
            ("crlf.md", "\r\n\r\nTwo.\r\n\r\n"),
            ("spaces.md", "  \t \u{a0}\u{2003}x \n\n\n"),
            ("marks.md", "e\u{301} is not \u{e9}; \u{202e}x\u{200b}\u{feff}"),
            ("quotes.md", "'; DROP TABLE posts; -- \\' \\\\ % _ \" ` {{ x }} $1 ? :a"),
            ("plane.md", "𝔘🚢\u{10ffff}"),
            ("empty.md", ""),
            ("controls.md", "\u{1}\u{7f}\u{1b}[31m"),
        ];
        let dir = folder(&[]);
        for (path, text) in texts {
            write(dir.path(), path, &format!("---\ntitle: T\ndate: 2024-01-01\n---\n{text}"));
        }
        assert_eq!(import(&world, dir.path()).await.created, texts.len());
        let posts = by_file(&world).await;
        for (path, text) in texts {
            assert_eq!(posts[path].content.get().map(String::as_str), Some(text), "{path}");
        }
    }

    async fn an_author_who_was_deleted_between_two_runs_does_not_come_back(world) {
        let dir = folder(&[("a.md", &page("A", "author: Ada Mast\n"))]);
        import(&world, dir.path()).await;
        let post = found(&world, "a").await;
        let author = post.author_id;
        world
            .run(world.request(Viewer::System), move |tx, viewer| {
                Box::pin(async move { user::delete(tx, viewer, author, Version(0)).await })
            })
            .await
            .expect("a user can be deleted");
        // Their posts went with them.
        assert_eq!(import(&world, dir.path()).await.unchanged, 1);
        write(dir.path(), "a.md", &page("A, changed", "author: Ada Mast\n"));
        write(dir.path(), "b.md", &page("B", "author: Ada Mast\n"));
        let summary = import(&world, dir.path()).await;
        assert_reasons(&summary.left_alone, &[("a.md", "deleted")]);
        assert_eq!((summary.created, summary.made.users), (1, 1));
        let new = found(&world, "b").await;
        assert_ne!(new.author_id, author, "somebody new with the same name");
        assert_eq!(
            around(&world, &new).await.authors,
            [unaddressed("Ada Mast", "ada-mast")]
        );
        assert_eq!(import(&world, dir.path()).await.made, Made::default());
    }

    async fn an_author_with_an_address_is_the_user_who_has_it(world) {
        let grace = world.user("grace", Role::Moderator).await;
        let dir = folder(&[
            ("a.md", &page("A", "author: Somebody <GRACE@Test.Invalid>\n")),
            ("b.md", &page("B", "authors: [Ada <Ada@Example.org>, Ada M <ada@example.ORG>]\n")),
        ]);
        let summary = import(&world, dir.path()).await;
        assert_eq!(summary.made.users, 1);
        let a = found(&world, "a").await;
        assert_eq!(a.author_id, grace.id);
        let authors = around(&world, &a).await.authors;
        assert_eq!(authors, [("grace".to_owned(), grace.email.clone())], "they keep their name");
        let b = found(&world, "b").await;
        assert_eq!(around(&world, &b).await.authors.len(), 1, "one person, named once");
    }

    async fn people_who_were_imported_cannot_log_in(world) {
        let dir = folder(&[("a.md", &page("A", "author: Ada Mast\n"))]);
        import(&world, dir.path()).await;
        let (read, id) = (world.store.read(), author_id(&found(&world, "a").await));
        let author = user::by_ids(&read, Whole, &Viewer::System, Scope::Live, &[id]).await;
        let author = author.expect("users can be read");
        let author = author.into_values().next().expect("the author");
        assert_eq!(author.email, "ada-mast@import.invalid");
        assert_eq!(author.role, Role::User);
        for password in ["", "ada-mast", "password"] {
            let request = world.request(Viewer::Anonymous);
            let login = session::login(&world.store, &request, &author.email, password.into()).await;
            assert!(login.is_err(), "{password:?}");
        }
    }

    async fn the_first_category_is_the_category_and_the_others_are_tags(world) {
        let dir = folder(&[
            ("a.md", &page("A", "categories: [History, Safety, Law]\ntags: [law, ships]\n")),
            ("b.md", &page("B", "categories: [Safety]\n")),
        ]);
        let summary = import(&world, dir.path()).await;
        assert_eq!(summary.categories_as_tags, 1);
        assert_eq!(summary.made, Made { users: 1, categories: 2, tags: 3 });
        let what = around(&world, &found(&world, "a").await).await;
        assert_eq!(what.category.as_deref(), Some("History"));
        assert_eq!(what.tags, ["law", "ships", "Safety"]);
        let what = around(&world, &found(&world, "b").await).await;
        assert_eq!((what.category.as_deref(), what.tags.len()), (Some("Safety"), 0));
    }

    async fn two_folders_with_the_same_paths_do_not_touch_each_other(world) {
        let one = folder(&[("a.md", &page("One", ""))]);
        let other = folder(&[("a.md", &page("Other", ""))]);
        assert_eq!(import_as(&world, one.path(), "one").await.created, 1);
        let first = posts(&world).await;
        assert_eq!(import_as(&world, other.path(), "other").await.created, 1);
        assert_eq!(import_as(&world, one.path(), "one").await.unchanged, 1);
        fs::remove_file(other.path().join("a.md")).expect("a file can be removed");
        assert_eq!(import_as(&world, other.path(), "other").await.gone, 1);
        assert_eq!(import_as(&world, one.path(), "one").await.gone, 0);
        let posts = posts(&world).await;
        assert_eq!(posts.len(), 2);
        assert!(posts.contains(&first[0]), "the first is as it was");
    }

    async fn what_a_post_cannot_be_is_reported_and_the_rest_comes_in(world) {
        let many: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
        let dir = folder(&[
            ("long.md", &page(&"x".repeat(201), "")),
            ("tags.md", &page("Tags", &format!("tags: [{}]\n", many.join(", ")))),
            ("good.md", &page("Good", "")),
        ]);
        let summary = import(&world, dir.path()).await;
        assert_eq!(summary.created, 1);
        assert_reasons(&summary.failed, &[("long.md", "title: "), ("tags.md", "tags: ")]);
        found(&world, "good").await;
        assert_eq!(posts(&world).await.len(), 1);
    }

    async fn ten_years_of_a_real_blog_come_in_whole(world) {
        let dir = root().join("../shared/data/rust-blog/content");
        if !dir.is_dir() {
            use std::io::Write as _;
            // What the printing macros write in a passing test, nobody sees.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: the posts of the Rust blog are not at ../shared/data/rust-blog/content"
            );
            return;
        }
        let begun = std::time::Instant::now();
        let summary = import(&world, &dir).await;
        assert_eq!((summary.files, summary.created), (754, 750));
        assert_eq!(summary.failed, []);
        assert_reasons(
            &summary.not_posts,
            &[
                ("_index.md", "a section"),
                ("inside-rust/_index.md", "a section"),
                ("releases/_index.md", "a section"),
                ("releases/latest.md", "a page and not a post"),
            ],
        );
        let before = by_file(&world).await;
        assert_eq!(before.len(), 750);
        let mut longest = 0;
        for (path, post) in &before {
            let content = post.content.get().expect("the text was read");
            let file = fs::read(dir.join(path)).expect("the file is there");
            let head = file.strip_suffix(content.as_bytes());
            let head = head.unwrap_or_else(|| panic!("{path} was changed"));
            assert!(head.ends_with(b"\n+++\n"), "{path} lost a piece of its text");
            assert!(post.published && post.published_at.is_some(), "{path}");
            longest = longest.max(content.len());
        }
        assert_eq!(longest, 173_093);

        let second = import(&world, &dir).await;
        assert_eq!((second.unchanged, second.changed_nothing()), (750, true));
        assert_eq!(by_file(&world).await, before);
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}

on_every_engine! {
    async fn two_imports_of_one_folder_at_once_make_each_post_once(world) {
        let files: Vec<(String, String)> = (0..30)
            .map(|n| {
                let page = page(&format!("No. {n}"), "author: Ada Mast\ntags: [x]\n");
                (format!("{n}.md"), page)
            })
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let dir = folder(&files);
        let run = || {
            let request = world.request(Viewer::System);
            let (store, dir) = (world.store.clone(), dir.path().to_owned());
            async move { import::run(&store, &request, &dir, "folder", |_, _| {}).await }
        };
        let (one, other) = tokio::join!(tokio::spawn(run()), tokio::spawn(run()));
        let one = one.expect("no panic").expect("the import runs to its end");
        let other = other.expect("no panic").expect("the import runs to its end");
        assert_eq!((one.created + other.created, one.unchanged + other.unchanged), (30, 30));
        assert_eq!(posts(&world).await.len(), 30);
        assert_eq!(one.made.users + other.made.users, 1);
    }
}
