-- The layer's own tables in SQLite, beside those of your records.

-- What was deleted together.
CREATE TABLE deletions (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    actor_id BLOB NULL,
    root_type VARCHAR(32) NOT NULL,
    root_id BLOB NOT NULL,
    row_count INTEGER NOT NULL,
    restored_at TEXT NULL,
    purged_at TEXT NULL
);
CREATE INDEX ix_deletions__created_at ON deletions (created_at, id);
CREATE INDEX ix_deletions__actor_id__created_at ON deletions (actor_id, created_at, id);

-- Who changed what.
CREATE TABLE audit_log (
    id BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    actor_id BLOB NULL,
    action VARCHAR(16) NOT NULL,
    record_type VARCHAR(32) NOT NULL,
    record_id BLOB NOT NULL,
    from_version INTEGER NULL,
    to_version INTEGER NULL,
    changes TEXT NOT NULL,
    request_id BLOB NULL
);
CREATE INDEX ix_audit_log__record_id ON audit_log (record_id, created_at);
CREATE INDEX ix_audit_log__created_at ON audit_log (created_at);

-- The gate through the walls: its rows let the transaction that wrote them through.
-- COMMIT is refused while one is left: `open` refers to `shut`, which is always NULL.
CREATE TABLE wall_gate (
    id BLOB NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    open SMALLINT NOT NULL DEFAULT 1 CHECK (open = 1),
    shut SMALLINT NULL CHECK (shut IS NULL),
    CONSTRAINT uq_wall_gate__shut UNIQUE (shut),
    CONSTRAINT wall_gate_is_shut_before_commit FOREIGN KEY (open)
        REFERENCES wall_gate (shut) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED
);

-- The audit log is only added to.
CREATE TRIGGER wall_audit_log__update BEFORE UPDATE ON audit_log
    WHEN NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own');
END;

CREATE TRIGGER wall_audit_log__delete BEFORE DELETE ON audit_log
    WHEN NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own');
END;

CREATE TRIGGER wall_audit_log__insert BEFORE INSERT ON audit_log
    WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
        AND NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'audit_log: the id has a row, which a REPLACE would remove for good: change that row by UPDATE');
END;

-- A deletion changes when it is restored or purged, and in nothing else.
CREATE TRIGGER wall_deletions__update BEFORE UPDATE ON deletions
    WHEN NOT (NEW.id IS OLD.id
        AND NEW.created_at IS OLD.created_at
        AND NEW.actor_id IS OLD.actor_id
        AND NEW.root_type IS OLD.root_type
        AND NEW.root_id IS OLD.root_id
        AND NEW.row_count IS OLD.row_count)
        AND NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'deletions: a deletion stays as it was made, since it is what restores and purges go by');
END;

CREATE TRIGGER wall_deletions__delete BEFORE DELETE ON deletions
    WHEN NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'deletions: a deletion stays as it was made, since it is what restores and purges go by');
END;

CREATE TRIGGER wall_deletions__insert BEFORE INSERT ON deletions
    WHEN EXISTS (SELECT 1 FROM deletions WHERE id = NEW.id)
        AND NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'deletions: the id has a row, which a REPLACE would remove for good: change that row by UPDATE');
END;
