//! Plimsoll as its clients see it: over HTTP, on every engine.

mod api;
mod arrows;
mod bad_input;
mod client;
mod counted;
mod leaving;
mod limits;
mod permissions;
mod tristate;
mod walk;
