CREATE TABLE authors (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0,
    deleted_at TEXT NULL,
    deletion_id BLOB NULL,
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    name TEXT NOT NULL
);

CREATE TABLE books (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0,
    deleted_at TEXT NULL,
    deletion_id BLOB NULL,
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    title TEXT NOT NULL,
    isbn TEXT NOT NULL,
    summary TEXT NOT NULL,
    author_id BLOB NOT NULL REFERENCES authors (id) ON DELETE RESTRICT,
    CONSTRAINT uq_books__isbn UNIQUE (isbn, live)
);

CREATE TABLE subjects (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0,
    deleted_at TEXT NULL,
    deletion_id BLOB NULL,
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    name TEXT NOT NULL,
    CONSTRAINT uq_subjects__name UNIQUE (name, live)
);

CREATE TABLE loans (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0,
    deleted_at TEXT NULL,
    deletion_id BLOB NULL,
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
    book_id BLOB NOT NULL REFERENCES books (id) ON DELETE RESTRICT,
    borrower TEXT NOT NULL
);

CREATE TABLE book_subjects (
    book_id BLOB NOT NULL REFERENCES books (id) ON DELETE RESTRICT,
    subject_id BLOB NOT NULL REFERENCES subjects (id) ON DELETE RESTRICT,
    position INTEGER NOT NULL,
    PRIMARY KEY (book_id, subject_id)
);

CREATE TABLE scans (
    id BLOB NOT NULL PRIMARY KEY,
    book_id BLOB NOT NULL REFERENCES books (id) ON DELETE RESTRICT,
    scanned_at TEXT NOT NULL
);
