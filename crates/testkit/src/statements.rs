//! The statements that ran.

use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_domain::Statement;

/// The statements that ran on a database, in the order in which they ended. BEGIN and COMMIT
/// are not among them.
#[derive(Clone, Debug, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// What [`Options::on_statement`](plimsoll_domain::Options::on_statement) is to call.
    pub fn observer(&self) -> Arc<dyn Fn(&Statement<'_>) + Send + Sync> {
        let log = self.0.clone();
        Arc::new(move |statement| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(statement.sql.to_owned());
        })
    }

    /// The statements since the last call, which it forgets.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
