//! Tests of Plimsoll from outside, over HTTP, on every engine: see `e2e/`.
