//! What tests need: a database of their own on each engine, people and posts to begin with, and
//! the statements that ran.

pub mod engines;
mod statements;
mod world;

pub use engines::{Engine, TestDatabase};
pub use statements::Statements;
pub use world::{PASSWORD, World, setup, setup_with};
