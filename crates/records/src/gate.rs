//! The gate through the walls.
//!
//! Triggers of the database refuse whatever removes a record, changes one without raising its
//! version by one, or touches the audit log's rows, no matter who asks. They let a transaction
//! pass that has a row of its own in the table `wall_gate`, and look there only when they are
//! about to refuse. Within this crate purging alone opens the gate.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use crate::{Database, Fault, Tx, Writer, database::sealed::Connected, rows::get};

const TABLE: &str = "wall_gate";

impl Tx {
    /// Lets this transaction, and no other, through the walls, until [`Tx::shut_gate`] or its
    /// end. `reason` is for whoever looks at the table.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub(crate) async fn open_gate(&mut self, reason: &'static str) -> Result<(), Fault> {
        self.shut_gate().await?;
        let id = self.mint();
        let mut insert = Query::insert();
        insert
            .into_table(TABLE)
            .columns(["id", "reason"])
            .values_panic([id.into(), reason.into()]);
        self.gate = Some(id);
        self.conn().execute(&insert, &[]).await?;
        Ok(())
    }

    /// Shuts the gate, if this transaction has opened it. Every transaction does so before it
    /// commits; a rollback takes the row with it.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub(crate) async fn shut_gate(&mut self) -> Result<(), Fault> {
        if let Some(id) = self.gate.take() {
            let mut delete = Query::delete();
            delete.from_table(TABLE).and_where(Expr::col("id").eq(id));
            self.conn().execute(&delete, &[]).await?;
        }
        Ok(())
    }
}

impl Database {
    /// Shuts the gate through the walls where somebody has left it open by hand, and returns the
    /// reasons that they gave for opening it.
    ///
    /// A row that was committed lets whoever comes later through: on SQLite everybody, on MariaDB
    /// and MySQL the connection of that number. PostgreSQL never commits one, SQLite only where
    /// `PRAGMA foreign_keys` is off. A server calls this when it starts.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that kept the rows from being looked for or removed.
    pub async fn shut_gate(&self, now: DateTime<Utc>) -> Result<Vec<String>, Fault> {
        let read = self.read();
        let select = Query::select().column("reason").from(TABLE).take();
        let left = read.conn().all(&select, &[]).await?;
        if !left.is_empty() {
            self.write(Writer::system(now), |tx| {
                Box::pin(async move {
                    // All that were committed; it waits for whoever is passing through.
                    let delete = Query::delete().from_table(TABLE).take();
                    tx.conn().execute(&delete, &[]).await
                })
            })
            .await?;
        }
        left.iter().map(|row| get(row, "reason")).collect()
    }
}
