-- The layer's own tables in MariaDB, beside those of your records.
-- The command-line client takes it with --delimiter=//.

-- What was deleted together.
CREATE TABLE deletions (
    id BINARY(16) NOT NULL PRIMARY KEY,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    actor_id BINARY(16) NULL,
    root_type VARCHAR(32) NOT NULL,
    root_id BINARY(16) NOT NULL,
    row_count INTEGER NOT NULL,
    restored_at DATETIME(6) NULL,
    purged_at DATETIME(6) NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX ix_deletions__created_at ON deletions (created_at, id);
CREATE INDEX ix_deletions__actor_id__created_at ON deletions (actor_id, created_at, id);

-- Who changed what.
CREATE TABLE audit_log (
    id BINARY(16) NOT NULL PRIMARY KEY,
    created_at DATETIME(6) NOT NULL,
    actor_id BINARY(16) NULL,
    action VARCHAR(16) NOT NULL,
    record_type VARCHAR(32) NOT NULL,
    record_id BINARY(16) NOT NULL,
    from_version INTEGER NULL,
    to_version INTEGER NULL,
    changes JSON NOT NULL,
    request_id BINARY(16) NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX ix_audit_log__record_id ON audit_log (record_id, created_at);
CREATE INDEX ix_audit_log__created_at ON audit_log (created_at);

-- The gate through the walls: its rows let the transaction that wrote them through.
-- A row opens it for the connection that wrote it, and for no other.
CREATE TABLE wall_gate (
    id BINARY(16) NOT NULL PRIMARY KEY,
    reason LONGTEXT NOT NULL,
    opened_by BIGINT UNSIGNED NOT NULL DEFAULT (CONNECTION_ID()),
    CONSTRAINT uq_wall_gate__opened_by UNIQUE (opened_by)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The audit log is only added to.
CREATE TRIGGER wall_audit_log__update BEFORE UPDATE ON audit_log FOR EACH ROW
IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own';
END IF;

CREATE TRIGGER wall_audit_log__delete BEFORE DELETE ON audit_log FOR EACH ROW
IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own';
END IF;

-- A deletion changes when it is restored or purged, and in nothing else.
CREATE TRIGGER wall_deletions__update BEFORE UPDATE ON deletions FOR EACH ROW
IF NOT (NEW.id <=> OLD.id
        AND NEW.created_at <=> OLD.created_at
        AND NEW.actor_id <=> OLD.actor_id
        AND NEW.root_type <=> OLD.root_type
        AND NEW.root_id <=> OLD.root_id
        AND NEW.row_count <=> OLD.row_count) THEN
    IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'deletions: a deletion stays as it was made, since it is what restores and purges go by';
    END IF;
END IF;

CREATE TRIGGER wall_deletions__delete BEFORE DELETE ON deletions FOR EACH ROW
IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'deletions: a deletion stays as it was made, since it is what restores and purges go by';
END IF;
