//! Tests of the page of a run in a browser. There is nothing here but these: see `tests/player.rs` and `player.mjs`.
