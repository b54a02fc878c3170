-- The walls around a record's table in PostgreSQL: `things` stands for its name.
-- A version rises by one with each change, no row is deleted by halves, and none is removed, unless
-- the gate is open.

CREATE TRIGGER wall_things__update AFTER UPDATE ON things FOR EACH ROW
    WHEN (NOT COALESCE(NEW.lock_version = OLD.lock_version + 1 AND NEW.id = OLD.id
        AND (NEW.deleted_at IS NULL) = (NEW.deletion_id IS NULL), FALSE))
    EXECUTE FUNCTION refuse_at_wall('things: an UPDATE must set lock_version = lock_version + 1, keep the id, and deleted_at with deletion_id or neither');

CREATE TRIGGER wall_things__delete BEFORE DELETE ON things FOR EACH ROW
    EXECUTE FUNCTION refuse_at_wall('things: no row is removed by hand, since nothing could bring it back: the application deletes and purges');

CREATE TRIGGER wall_things__truncate BEFORE TRUNCATE ON things FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_at_wall('things: no row is removed by hand, since nothing could bring it back: the application deletes and purges');
