//! The program `plimsoll` from outside: its commands, how it starts, what it refuses and how it
//! ends.
#![cfg(unix)]

mod commands;
mod configuration;
mod migrations;
mod program;
mod purging;
mod starting;
mod stopping;
