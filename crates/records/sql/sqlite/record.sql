-- The table of a record in SQLite: `things` stands for its name, `name` for its own columns.

CREATE TABLE things (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0 CHECK (lock_version >= 0),
    deleted_at TEXT NULL,
    deletion_id BLOB NULL,
    -- 1, or NULL once the row is deleted: what is unique with it is unique among the living.
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    name TEXT NOT NULL,
    -- A `Fault::Duplicate` takes the table and the column from this name.
    CONSTRAINT uq_things__name UNIQUE (name, live)
);

-- Restoring and purging look for what a deletion took.
CREATE INDEX ix_things__deletion_id ON things (deletion_id);

-- What a list of live rows is ordered by, with the id.
CREATE INDEX ix_things__created_at ON things (created_at, id) WHERE deleted_at IS NULL;
