//! Adding a fact that somebody else may have added.

use sea_orm::{
    DbBackend, Statement, StatementBuilder,
    sea_query::{InsertStatement, OnConflict},
};

use crate::{Fact, Fault, Tx, database::sealed::Connected as _, record::insert_statement};

impl Tx {
    /// Adds a row that is no record, unless one of its unique values is taken. Returns whether it
    /// was added. Where another transaction is about to add one with the same value, it waits for
    /// that one's end, as long as a statement may run.
    ///
    /// On MariaDB and MySQL a value that does not fit its column is cut off with a warning: see
    /// that it fits.
    ///
    /// # Errors
    ///
    /// Whatever keeps the statement from running; a taken value is no error.
    pub async fn insert_fact_if_free<E: Fact>(&mut self, row: E::ActiveModel) -> Result<bool, Fault>
    where
        E::ActiveModel: Send,
    {
        let mut insert = insert_statement::<E>(&[row]);
        insert.on_conflict(OnConflict::new().do_nothing().to_owned());
        let added = self.conn().execute(&UnlessTaken(insert), &[]).await?;
        Ok(added > 0)
    }
}

/// An INSERT that does nothing where a unique value is taken. MariaDB and MySQL have another word
/// for it than SeaQuery, at another place; and by their `ON DUPLICATE KEY UPDATE id = id` a taken
/// value counts as a row, since this layer counts the rows that were found.
struct UnlessTaken(InsertStatement);

impl StatementBuilder for UnlessTaken {
    fn build(&self, backend: &DbBackend) -> Statement {
        let mut statement = StatementBuilder::build(&self.0, backend);
        if *backend == DbBackend::MySql {
            statement.sql = statement
                .sql
                .replacen("INSERT INTO", "INSERT IGNORE INTO", 1)
                .replacen(" ON DUPLICATE KEY IGNORE", "", 1);
        }
        statement
    }
}
