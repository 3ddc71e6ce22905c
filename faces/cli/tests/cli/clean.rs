use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use antiphon::Space;
use antiphon::space::Lifetime;

use crate::support::{Neighbour, Place, Test, ready};

#[test]
fn where_nothing_was_left_it_says_so() {
    Test::new().arg("clean").stdout("Nothing was left by the dead.\n").success();
}

#[test]
fn a_directory_that_others_may_enter_is_not_trusted() {
    for args in ["clean", "ls", "ls orders", "rm orders"] {
        let place = Place::new();
        fs::create_dir_all(place.spaces().join("orders")).unwrap();
        fs::set_permissions(place.spaces(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(place.spaces().join("orders"), Permissions::from_mode(0o755)).unwrap();
        place.test().args(args).stderr_has("its permissions let others in").code(1);
    }
}

fn open(name: &str, lifetime: Lifetime) -> ! {
    let space = Space::builder(&format!("host:{name}")).lifetime(lifetime).open().unwrap();
    let _event = space.event("open").unwrap();
    ready()
}

#[test]
fn what_the_dead_left_goes_and_what_is_kept_or_used_stays() {
    let place = Place::new();
    // Whoever opens a space clears away what the dead left, so they die last.
    let used = Neighbour::start(&place, "used", |()| open("used", Lifetime::WithUsers));
    let kept = Neighbour::start(&place, "kept", |()| open("kept", Lifetime::Kept));
    let left = Neighbour::start(&place, "left", |()| open("left", Lifetime::WithUsers));
    kept.kill();
    left.kill();
    place.test().args("clean --dry-run").stdout("would remove left\n").success();
    let cleaned = place.test().args("clean").json();
    assert_eq!(cleaned["dry_run"], false);
    assert_eq!(cleaned["spaces"], serde_json::json!(["left"]));
    place.test().arg("clean").stdout("Nothing was left by the dead.\n").success();
    let spaces = &place.test().arg("ls").json()["spaces"];
    let names: Vec<_> = spaces.as_array().unwrap().iter().map(|space| &space["name"]).collect();
    assert_eq!(names, ["kept", "used"]);
    used.kill();
    place.test().arg("clean").stdout("removed used\n").success();
}
