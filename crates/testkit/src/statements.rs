//! The statements that ran.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use plimsoll_records::{MadeFor, Note, Register, Scope, Statement};

/// The statements that ran on a database, in the order in which they ended. BEGIN and COMMIT
/// are not among them.
#[derive(Clone, Debug, Default)]
pub struct Statements(Arc<Log>);

#[derive(Debug, Default)]
struct Log {
    ran: Mutex<Vec<String>>,
    tables: OnceLock<Vec<&'static str>>,
    unscoped: Mutex<Vec<String>>,
}

impl Statements {
    /// What [`Options::on_statement`](plimsoll_records::Options::on_statement) is to call.
    pub fn observer(&self) -> Arc<dyn Fn(&Statement<'_>) + Send + Sync> {
        let log = self.0.clone();
        Arc::new(move |statement| {
            held(&log.ran).push(statement.sql.to_owned());
            // What a test runs by hand, past the layer, is its own business.
            if let (Some(notes), Some(tables)) = (statement.notes, log.tables.get())
                && let Some(missing) = unscoped(statement.sql, notes, tables)
            {
                held(&log.unscoped).push(format!("{missing}:\n  {}", statement.sql));
            }
        })
    }

    /// The statements since the last call, which it forgets.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut held(&self.0.ran))
    }

    /// From now on, looks for statements that reach one of these records' tables for no scope
    /// and no version.
    pub fn watch(&self, register: &Register) {
        let tables = register.records().iter().map(|record| record.table);
        self.0.tables.get_or_init(|| tables.collect());
    }

    /// The statements that reached a table of records without saying which of its rows they were
    /// made for, or without doing as they say.
    pub fn unscoped(&self) -> Vec<String> {
        held(&self.0.unscoped).clone()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is missing from a statement.
fn unscoped(sql: &str, notes: &[Note], tables: &[&str]) -> Option<String> {
    let names = sql.split(['"', '`']).skip(1).step_by(2);
    let touched: BTreeSet<&str> = names.filter(|name| tables.contains(name)).collect();
    let alone = touched.len() == 1;
    for table in touched {
        let mut of_table = notes.iter().filter(|note| note.table == table).peekable();
        if of_table.peek().is_none() {
            return Some(format!("it says nothing of {table}"));
        }
        for note in of_table {
            if let Some(missing) = unkept(sql, note, alone) {
                return Some(missing);
            }
        }
    }
    None
}

/// What a note promises and the statement does not do. Of several tables each has a filter of its
/// own.
fn unkept(sql: &str, note: &Note, alone: bool) -> Option<String> {
    let sql = sql.replace('`', "\"");
    let of_this = |rest: &str| match alone {
        true => sql.contains(&format!("\"deleted_at\" {rest}")),
        false => sql.contains(&format!("\"{}\".\"deleted_at\" {rest}", note.table)),
    };
    let has = |column: &str, rest: &str| sql.contains(&format!("\"{column}\" {rest}"));
    let kept = match note.made_for {
        MadeFor::Scope(Scope::Live) => of_this("IS NULL"),
        MadeFor::Scope(Scope::WithDeleted) => true,
        MadeFor::Scope(Scope::OnlyDeleted) => {
            of_this("IS NOT NULL") || has("deletion_id", "=") || has("deletion_id", "IN (")
        }
        MadeFor::Version(_) => {
            has("lock_version", "= \"lock_version\" +") && sql.contains(" AND \"lock_version\" =")
        }
        MadeFor::Condition => {
            has("lock_version", "= \"lock_version\" +") && has("deleted_at", "IS NULL")
        }
        MadeFor::Locked => {
            !sql.starts_with("UPDATE") || has("lock_version", "= \"lock_version\" +")
        }
        MadeFor::New => sql.starts_with("INSERT"),
        MadeFor::Purge => sql.starts_with("DELETE") && has("deletion_id", "="),
    };
    (!kept).then(|| format!("it does not keep to {:?} of {}", note.made_for, note.table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_without_its_scope_is_found() {
        let live = [Note {
            table: "posts",
            made_for: MadeFor::Scope(Scope::Live),
        }];
        let tables = ["posts", "users"];
        let filtered = r#"SELECT "id" FROM "posts" WHERE "posts"."deleted_at" IS NULL"#;
        assert_eq!(unscoped(filtered, &live, &tables), None);
        assert!(unscoped(filtered, &[], &tables).is_some());
        assert!(unscoped(r#"SELECT "id" FROM "posts""#, &live, &tables).is_some());
        let joined = r#"SELECT 1 FROM "posts" JOIN "users" ON TRUE WHERE "deleted_at" IS NULL"#;
        assert!(unscoped(joined, &live, &tables).is_some());
        // One filter does not serve two tables.
        let users = Note {
            table: "users",
            ..live[0]
        };
        assert!(unscoped(joined, &[live[0], users], &tables).is_some());
        let other = "SELECT `token_hash` FROM `login_sessions`";
        assert_eq!(unscoped(other, &[], &tables), None);
    }
}
