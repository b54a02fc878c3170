//! What the domain promises, as claims, each on every engine.

#[macro_use]
mod support;
mod shelf;

mod adjusting;
mod adopters;
mod aggregates;
mod attempts;
mod audit;
mod beside;
mod bulk;
mod bulk_api;
mod bulk_each;
mod bulk_upsert;
mod deleting;
mod faults;
mod idempotency;
mod links;
mod page_property;
mod pages;
mod parents;
mod policy;
mod purging;
mod races;
mod reading;
mod related;
mod restoring;
mod retrying;
mod schema;
mod sessions;
mod shop;
mod unique;
mod upsert;
mod versions;
mod wallet;
mod walls;
