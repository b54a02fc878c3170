//! The engines that are proved.

use clap::ValueEnum;

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    #[value(name = "mariadb")]
    MariaDb,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    /// As the command line says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        }
    }

    /// How many server processes share one database.
    pub(crate) fn servers(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres | Self::MariaDb => 3,
        }
    }
}
