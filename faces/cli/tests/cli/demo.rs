use std::process::{Command, Stdio};

use crate::support::{Place, Test};

#[test]
fn the_first_programs_run_in_threads_and_in_processes() {
    let place = Place::new();
    let output = place.test().arg("demo").success();
    let count = |line: &str| output.stdout.lines().filter(|l| *l == line).count();
    assert_eq!(count("Counter: 100"), 2);
    for n in 0..10 {
        assert_eq!(count(&format!("Consumed: {n}")), 2);
    }
    let consumed: Vec<_> =
        output.stdout.lines().filter_map(|line| line.strip_prefix("Consumed: ")).collect();
    assert_eq!(consumed.concat(), "01234567890123456789");
    place.assert_empty();
}

#[test]
fn who_died_is_named_and_the_next_goes_on() {
    let output = Test::new().arg("demo").success();
    let line = |part: &str| {
        let found = output.stdout.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line with \"{part}\" in\n{}", output.stdout))
    };
    let pid = line("takes 30 coins").split_whitespace().nth(1).unwrap();
    assert!(line("is in the way").contains("mover, for "));
    assert_eq!(line("who died").trim(), format!("who died      mover (pid {pid}, thread {pid})"));
    assert!(line("held for").ends_with("at least"));
    assert!(line("acquired at").contains("owner_death.rs:"));
    assert_eq!(line("Everybody goes on"), "Everybody goes on. Coins: 100");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    for args in ["demo", "--help", "ls", "ls --json"] {
        let place = Place::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(args.split(' '))
            .env("ANTIPHON_DIR", place.spaces())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args}");
        place.assert_empty();
    }
}
