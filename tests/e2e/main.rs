//! Plimsoll as its clients see it: over HTTP, on every engine.

mod arrows;
mod client;
mod walk;
