use antiphon::Space;
use antiphon::space::Lifetime;

use crate::support::{Neighbour, Place, Test, ready};

fn two_objects(_: ()) {
    let space = Space::builder("host:orders").lifetime(Lifetime::Kept).open().unwrap();
    let _objects = (space.event("open").unwrap(), space.event("closed").unwrap());
    ready()
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    Test::new().args("rm orders").stderr_has("there is no space named \"orders\"").code(1);
    let place = Place::new();
    let _neighbour = Neighbour::start(&place, "shop", two_objects);
    place.test().args("rm orders/x").stderr_has("there is no object named \"x\"").code(1);
    place.test().args("rm orders/../orders").stderr_has("not a usable name").code(1);
    place.test().args("rm orders/.control").stderr_has("not a usable name").code(1);
}

#[test]
fn an_object_goes_and_the_others_stay() {
    let place = Place::new();
    let _neighbour = Neighbour::start(&place, "shop", two_objects);
    place
        .test()
        .args("rm host:orders/open")
        .stdout("removed orders/open; 1 process uses the space and goes on with what it has open\n")
        .success();
    let objects = &place.test().args("ls orders").json()["objects"];
    assert_eq!(objects.as_array().unwrap().len(), 1);
    assert_eq!(objects[0]["name"], "closed");
}

#[test]
fn a_kept_space_goes_when_it_is_removed() {
    let place = Place::new();
    Neighbour::start(&place, "shop", two_objects).kill();
    place.test().arg("ls").stdout_begins("SPACE").success();
    let removed = place.test().args("rm orders").json();
    assert_eq!((&removed["removed"], &removed["users_of_space"]), (&"orders".into(), &0.into()));
    place.assert_empty();
}
