//! What the domain promises, as claims, each on every engine.

#[macro_use]
mod support;

mod audit;
mod deleting;
mod links;
mod pages;
mod policy;
mod purging;
mod races;
mod reading;
mod restoring;
mod schema;
mod sessions;
mod unique;
mod versions;
