//! Plimsoll as its clients see it: over HTTP, on every engine.

mod api;
mod arrows;
mod bad_input;
mod client;
mod counted;
mod engines;
mod faults;
mod keys;
mod leaving;
mod limits;
mod permissions;
mod rows;
mod stored;
mod tristate;
mod walk;
mod whole;
