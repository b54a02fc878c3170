-- The table of a record in MariaDB: `things` stands for its name, `name` for its own columns.

CREATE TABLE things (
    id BINARY(16) NOT NULL PRIMARY KEY,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0 CHECK (lock_version >= 0),
    deleted_at DATETIME(6) NULL,
    deletion_id BINARY(16) NULL,
    -- 1, or NULL once the row is deleted: what is unique with it is unique among the living.
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    name VARCHAR(320) NOT NULL,
    -- A `Fault::Duplicate` takes the table and the column from this name.
    CONSTRAINT uq_things__name UNIQUE (name, live)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Restoring and purging look for what a deletion took.
CREATE INDEX ix_things__deletion_id ON things (deletion_id);

-- What a list of live rows is ordered by, with the id.
-- `deleted_at` comes first, which such a list pins to NULL.
CREATE INDEX ix_things__created_at ON things (deleted_at, created_at, id);
