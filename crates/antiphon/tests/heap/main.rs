//! The algorithms between the threads of one process, on values that are not atomic: what `cargo xtask tsan` watches.
//!
//! ThreadSanitizer sees what is compiled with it, and the standard library that comes with a toolchain is not. What its
//! threads, scopes, reference counts and test harness order would look like races. So the threads here are the system's own,
//! which the sanitizer knows, and `main` is ours.

mod barrier;
mod bytes;
mod condvar;
mod crew;
mod event;
mod latch;
mod mutex;
mod once;
mod queue;
mod reentrant_mutex;
mod rwlock;
mod semaphore;

use std::process::ExitCode;

macro_rules! tests {
    ($($module:ident { $($test:ident)* })*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($test)), $module::$test)),*),*]
    };
}

const TESTS: &[(&str, fn())] = tests! {
    mutex { it_excludes trying_excludes_too }
    reentrant_mutex { it_excludes }
    rwlock { readers_see_whole_values a_downgrade_keeps_writers_out }
    semaphore { one_permit_excludes a_signal_publishes many_permits_publish_to_all }
    condvar { what_was_laid_down_is_seen }
    event { a_setting_publishes }
    barrier { phases_publish }
    once { what_was_done_is_seen }
    latch { what_was_counted_is_seen }
    queue { items_are_handed_over batches_are_handed_over }
    bytes { messages_are_handed_over }
};

/// Runs the tests whose name contains one of the arguments. A test that fails ends the program, so that all threads end.
fn main() -> ExitCode {
    let filter: Vec<_> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut passed = 0;
    for (name, test) in TESTS {
        if filter.is_empty() || filter.iter().any(|part| name.contains(part.as_str())) {
            test();
            println!("test {name} ... ok");
            passed += 1;
        }
    }
    let filtered = TESTS.len() - passed;
    println!(
        "\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; {filtered} filtered out"
    );
    ExitCode::SUCCESS
}
