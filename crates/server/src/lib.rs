//! The binary `plimsoll`: its configuration, its command line, and the server.

pub mod app;
pub mod cli;
pub mod graphiql;
pub mod graphql_http;
mod serve;
