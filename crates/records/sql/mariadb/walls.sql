-- The walls around a record's table in MariaDB: `things` stands for its name.
-- A version rises by one with each change, no row is deleted by halves, and none is removed, unless
-- the gate is open.
-- The command-line client takes it with --delimiter=//.

CREATE TRIGGER wall_things__update BEFORE UPDATE ON things FOR EACH ROW
IF NOT COALESCE(NEW.lock_version = OLD.lock_version + 1 AND NEW.id = OLD.id
        AND (NEW.deleted_at IS NULL) = (NEW.deletion_id IS NULL), FALSE) THEN
    IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'things: an UPDATE must set lock_version = lock_version + 1, keep the id, and deleted_at with deletion_id or neither';
    END IF;
END IF;

CREATE TRIGGER wall_things__delete BEFORE DELETE ON things FOR EACH ROW
IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'things: no row is removed by hand, since nothing could bring it back: the application deletes and purges';
END IF;
