//! Children of a test binary whose `main` is not ours: they enter through a test of their own.

use antiphon::process::{self, Builder, JoinError, Stdio};

#[test]
fn child_entry() {
    process::init();
}

fn builder() -> Builder {
    Builder::new().args(["--exact", "child_entry", "--nocapture"]).stdout(Stdio::Null)
}

#[test]
fn a_result_comes_back() {
    process::init();
    assert_eq!(builder().spawn(|x: u32| x + 1, 3).unwrap().join().unwrap(), 4);
}

#[test]
fn a_child_that_enters_nowhere_is_told() {
    process::init();
    let child = Builder::new()
        .args(["--exact", "no such test"])
        .stdout(Stdio::Null)
        .spawn(|x: u32| x, 3)
        .unwrap();
    let error = child.join().unwrap_err();
    assert!(matches!(error, JoinError::NotStarted { .. }), "{error}");
}
