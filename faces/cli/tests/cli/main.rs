//! The command as its users meet it: what they type, what they see, and with which code it ends.

mod clean;
mod demo;
mod ls;
mod rm;
mod show;
mod support;
mod usage;
mod words;

/// Where the children of these tests begin; see `support::Neighbour`.
#[test]
fn child_entry() {
    antiphon::process::init();
}
