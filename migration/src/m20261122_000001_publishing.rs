//! The publishing half: users, profiles, categories, tags, posts and their links, the audit
//! log, deletions, login sessions and import sources.

use sea_orm_migration::prelude::*;

use crate::engine::{live_index, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Each after those that it refers to.
const TABLES: [&str; 11] = [
    "CREATE TABLE users ({record},
        email {key} NOT NULL,
        email_key {key} NOT NULL,
        name {key} NOT NULL,
        name_key {key} NOT NULL,
        role VARCHAR(16) NOT NULL CHECK (role IN ('USER', 'MODERATOR', 'ADMIN')),
        password_hash {text} NULL,
        is_active {bool} NOT NULL,
        CONSTRAINT uq_users__email_key UNIQUE (email_key, live)
    ) {table}",
    "CREATE TABLE profiles ({record},
        user_id {uuid} NOT NULL,
        bio {text} NULL,
        avatar_url {text} NULL,
        metadata {json} NOT NULL,
        CONSTRAINT uq_profiles__user_id UNIQUE (user_id, live),
        CONSTRAINT fk_profiles__user_id FOREIGN KEY (user_id)
            REFERENCES users (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE categories ({record},
        name {key} NOT NULL,
        slug {key} NOT NULL,
        parent_id {uuid} NULL,
        CONSTRAINT uq_categories__slug UNIQUE (slug, live),
        CONSTRAINT fk_categories__parent_id FOREIGN KEY (parent_id)
            REFERENCES categories (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE tags ({record},
        name {key} NOT NULL,
        slug {key} NOT NULL,
        CONSTRAINT uq_tags__slug UNIQUE (slug, live)
    ) {table}",
    "CREATE TABLE posts ({record},
        title {key} NOT NULL,
        slug {key} NOT NULL,
        content {text} NOT NULL,
        published {bool} NOT NULL,
        published_at {time} NULL,
        listed_at {time} GENERATED ALWAYS AS (COALESCE(published_at, created_at)) STORED,
        author_id {uuid} NOT NULL,
        category_id {uuid} NULL,
        CONSTRAINT ck_posts__published_at CHECK (published_at IS NOT NULL OR NOT published),
        CONSTRAINT uq_posts__slug UNIQUE (slug, live),
        CONSTRAINT fk_posts__author_id FOREIGN KEY (author_id)
            REFERENCES users (id) ON DELETE RESTRICT,
        CONSTRAINT fk_posts__category_id FOREIGN KEY (category_id)
            REFERENCES categories (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE post_tags (
        post_id {uuid} NOT NULL,
        tag_id {uuid} NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (post_id, tag_id),
        CONSTRAINT fk_post_tags__post_id FOREIGN KEY (post_id)
            REFERENCES posts (id) ON DELETE RESTRICT,
        CONSTRAINT fk_post_tags__tag_id FOREIGN KEY (tag_id)
            REFERENCES tags (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE post_authors (
        post_id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (post_id, user_id),
        CONSTRAINT fk_post_authors__post_id FOREIGN KEY (post_id)
            REFERENCES posts (id) ON DELETE RESTRICT,
        CONSTRAINT fk_post_authors__user_id FOREIGN KEY (user_id)
            REFERENCES users (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE login_sessions ({id},
        user_id {uuid} NOT NULL,
        token_hash VARCHAR(64) NOT NULL,
        expires_at {time} NOT NULL,
        revoked_at {time} NULL,
        CONSTRAINT uq_login_sessions__token_hash UNIQUE (token_hash),
        CONSTRAINT fk_login_sessions__user_id FOREIGN KEY (user_id)
            REFERENCES users (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE import_sources ({id},
        source_key VARCHAR(64) NOT NULL,
        source {text} NOT NULL,
        path {text} NOT NULL,
        hash VARCHAR(64) NOT NULL,
        post_id {uuid} NOT NULL,
        post_version INTEGER NOT NULL,
        CONSTRAINT uq_import_sources__source_key UNIQUE (source_key),
        CONSTRAINT fk_import_sources__post_id FOREIGN KEY (post_id)
            REFERENCES posts (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE deletions ({id},
        actor_id {uuid} NULL,
        root_type VARCHAR(32) NOT NULL,
        root_id {uuid} NOT NULL,
        row_count INTEGER NOT NULL,
        restored_at {time} NULL,
        purged_at {time} NULL
    ) {table}",
    // Append-only: it has no `updated_at`.
    "CREATE TABLE audit_log (
        id {uuid} NOT NULL PRIMARY KEY,
        created_at {time} NOT NULL,
        actor_id {uuid} NULL,
        action VARCHAR(16) NOT NULL,
        record_type VARCHAR(32) NOT NULL,
        record_id {uuid} NOT NULL,
        from_version INTEGER NULL,
        to_version INTEGER NULL,
        changes {json} NOT NULL,
        request_id {uuid} NULL
    ) {table}",
];

const INDEXES: [&str; 18] = [
    "CREATE INDEX ix_users__deletion_id ON users (deletion_id)",
    "CREATE INDEX ix_profiles__deletion_id ON profiles (deletion_id)",
    "CREATE INDEX ix_categories__deletion_id ON categories (deletion_id)",
    "CREATE INDEX ix_categories__parent_id ON categories (parent_id)",
    "CREATE INDEX ix_tags__deletion_id ON tags (deletion_id)",
    "CREATE INDEX ix_posts__deletion_id ON posts (deletion_id)",
    // Deleting and purging look for the children of any state.
    "CREATE INDEX ix_posts__author_id ON posts (author_id)",
    "CREATE INDEX ix_posts__category_id ON posts (category_id)",
    "CREATE INDEX ix_post_tags__tag_id ON post_tags (tag_id, post_id)",
    "CREATE INDEX ix_post_authors__user_id ON post_authors (user_id, post_id)",
    "CREATE INDEX ix_login_sessions__user_id ON login_sessions (user_id)",
    "CREATE INDEX ix_login_sessions__expires_at ON login_sessions (expires_at)",
    "CREATE INDEX ix_import_sources__post_id ON import_sources (post_id)",
    // Moderators list posts of any state.
    "CREATE INDEX ix_posts__any__listed_at ON posts (listed_at, id)",
    "CREATE INDEX ix_deletions__created_at ON deletions (created_at, id)",
    "CREATE INDEX ix_deletions__actor_id__created_at ON deletions (actor_id, created_at, id)",
    "CREATE INDEX ix_audit_log__record_id ON audit_log (record_id, created_at)",
    "CREATE INDEX ix_audit_log__created_at ON audit_log (created_at)",
];

/// An index's name, its table, its columns, and a column that it pins to a value.
type LiveIndex = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

/// What lists of live rows are ordered by.
const LIVE_INDEXES: [LiveIndex; 13] = [
    ("ix_users__created_at", "users", "created_at, id", None),
    ("ix_users__name_key", "users", "name_key, id", None),
    (
        "ix_categories__created_at",
        "categories",
        "created_at, id",
        None,
    ),
    ("ix_categories__slug", "categories", "slug, id", None),
    ("ix_tags__created_at", "tags", "created_at, id", None),
    ("ix_tags__slug", "tags", "slug, id", None),
    ("ix_posts__listed_at", "posts", "listed_at, id", None),
    (
        "ix_posts__published__listed_at",
        "posts",
        "listed_at, id",
        Some(("published", "TRUE")),
    ),
    (
        "ix_posts__draft__listed_at",
        "posts",
        "listed_at, id",
        Some(("published", "FALSE")),
    ),
    ("ix_posts__created_at", "posts", "created_at, id", None),
    ("ix_posts__updated_at", "posts", "updated_at, id", None),
    (
        "ix_posts__author_id__listed_at",
        "posts",
        "author_id, listed_at, id",
        None,
    ),
    (
        "ix_posts__category_id__listed_at",
        "posts",
        "category_id, listed_at, id",
        None,
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &TABLES).await?;
        run(manager, &INDEXES).await?;
        for (name, table, columns, condition) in LIVE_INDEXES {
            live_index(manager, name, table, columns, condition).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP TABLE audit_log",
                "DROP TABLE deletions",
                "DROP TABLE import_sources",
                "DROP TABLE login_sessions",
                "DROP TABLE post_authors",
                "DROP TABLE post_tags",
                "DROP TABLE posts",
                "DROP TABLE tags",
                "DROP TABLE categories",
                "DROP TABLE profiles",
                "DROP TABLE users",
            ],
        )
        .await
    }
}
