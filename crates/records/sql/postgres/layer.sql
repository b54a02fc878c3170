-- The layer's own tables in PostgreSQL, beside those of your records.

-- What was deleted together.
CREATE TABLE deletions (
    id uuid NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    actor_id uuid NULL,
    root_type VARCHAR(32) NOT NULL,
    root_id uuid NOT NULL,
    row_count INTEGER NOT NULL,
    restored_at timestamptz NULL,
    purged_at timestamptz NULL
);
CREATE INDEX ix_deletions__created_at ON deletions (created_at, id);
CREATE INDEX ix_deletions__actor_id__created_at ON deletions (actor_id, created_at, id);

-- Who changed what.
CREATE TABLE audit_log (
    id uuid NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    actor_id uuid NULL,
    action VARCHAR(16) NOT NULL,
    record_type VARCHAR(32) NOT NULL,
    record_id uuid NOT NULL,
    from_version INTEGER NULL,
    to_version INTEGER NULL,
    changes jsonb NOT NULL,
    request_id uuid NULL
);
CREATE INDEX ix_audit_log__record_id ON audit_log (record_id, created_at);
CREATE INDEX ix_audit_log__created_at ON audit_log (created_at);

-- The gate through the walls: its rows let the transaction that wrote them through.
-- COMMIT is refused while one is left: `open` refers to `shut`, which is always NULL.
CREATE TABLE wall_gate (
    id uuid NOT NULL PRIMARY KEY,
    reason text NOT NULL,
    open SMALLINT NOT NULL DEFAULT 1 CHECK (open = 1),
    shut SMALLINT NULL CHECK (shut IS NULL),
    CONSTRAINT uq_wall_gate__shut UNIQUE (shut),
    CONSTRAINT wall_gate_is_shut_before_commit FOREIGN KEY (open)
        REFERENCES wall_gate (shut) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED
);

CREATE FUNCTION refuse_at_wall() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_open boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.wall_gate)', TG_TABLE_SCHEMA)
        INTO is_open;
    IF NOT is_open THEN
        RAISE EXCEPTION USING ERRCODE = 'WALL1', MESSAGE = TG_ARGV[0],
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;

-- The audit log is only added to.
CREATE TRIGGER wall_audit_log__update AFTER UPDATE ON audit_log FOR EACH ROW
    EXECUTE FUNCTION refuse_at_wall('audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own');

CREATE TRIGGER wall_audit_log__delete BEFORE DELETE ON audit_log FOR EACH ROW
    EXECUTE FUNCTION refuse_at_wall('audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own');

CREATE TRIGGER wall_audit_log__truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_at_wall('audit_log: the log is only added to: what is wrong in it is put right by a change with a row of its own');

-- A deletion changes when it is restored or purged, and in nothing else.
CREATE TRIGGER wall_deletions__update AFTER UPDATE ON deletions FOR EACH ROW
    WHEN (NOT (NEW.id IS NOT DISTINCT FROM OLD.id
        AND NEW.created_at IS NOT DISTINCT FROM OLD.created_at
        AND NEW.actor_id IS NOT DISTINCT FROM OLD.actor_id
        AND NEW.root_type IS NOT DISTINCT FROM OLD.root_type
        AND NEW.root_id IS NOT DISTINCT FROM OLD.root_id
        AND NEW.row_count IS NOT DISTINCT FROM OLD.row_count))
    EXECUTE FUNCTION refuse_at_wall('deletions: a deletion stays as it was made, since it is what restores and purges go by');

CREATE TRIGGER wall_deletions__delete BEFORE DELETE ON deletions FOR EACH ROW
    EXECUTE FUNCTION refuse_at_wall('deletions: a deletion stays as it was made, since it is what restores and purges go by');

CREATE TRIGGER wall_deletions__truncate BEFORE TRUNCATE ON deletions FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_at_wall('deletions: a deletion stays as it was made, since it is what restores and purges go by');
