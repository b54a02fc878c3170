-- The walls around a record's table in SQLite: `things` stands for its name.
-- A version rises by one with each change, no row is deleted by halves, and none is removed, unless
-- the gate is open.
-- To be put up again when the table is rebuilt, which drops them without a word.

CREATE TRIGGER wall_things__update BEFORE UPDATE ON things
    WHEN NOT COALESCE(NEW.lock_version = OLD.lock_version + 1 AND NEW.id = OLD.id
        AND (NEW.deleted_at IS NULL) = (NEW.deletion_id IS NULL), FALSE)
        AND NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'things: an UPDATE must set lock_version = lock_version + 1, keep the id, and deleted_at with deletion_id or neither');
END;

CREATE TRIGGER wall_things__delete BEFORE DELETE ON things
    WHEN NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'things: no row is removed by hand, since nothing could bring it back: the application deletes and purges');
END;

CREATE TRIGGER wall_things__insert BEFORE INSERT ON things
    WHEN EXISTS (SELECT 1 FROM things WHERE id = NEW.id)
        AND NOT EXISTS (SELECT 1 FROM wall_gate)
BEGIN
    SELECT RAISE(ABORT, 'things: the id has a row, which a REPLACE would remove for good: change that row by UPDATE');
END;
