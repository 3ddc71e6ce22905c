use std::fs;
use std::thread;

use antiphon::Space;
use antiphon::inspect::inspect_object;
use antiphon::space::Lifetime;

use crate::support::{Neighbour, Place, Test, eventually, ready};

#[test]
fn where_there_is_nothing_it_says_so() {
    Test::new().arg("ls").stdout("There are no spaces in DIR.\n").success();
    assert_eq!(Test::new().arg("ls").json()["spaces"].as_array().unwrap().len(), 0);
}

#[test]
fn a_space_that_is_not_there_is_an_error() {
    Test::new().args("ls orders").stderr_has("there is no space named \"orders\"").code(1);
    Test::new().args("ls host:..").stderr_has("not a usable name").code(1);
}

fn empty_space(_: ()) {
    let _space = Space::builder("host:orders").lifetime(Lifetime::Kept).open().unwrap();
    ready()
}

#[test]
fn a_space_without_objects() {
    let place = Place::new();
    let neighbour = Neighbour::start(&place, "shop", empty_space);
    place
        .test()
        .args("ls orders")
        .stdout_line("DIR/orders".replace("DIR", place.spaces().to_str().unwrap()).as_str())
        .stdout_line("There is nothing in it.")
        .success();
    let pid = neighbour.pid();
    let spaces = place.test().arg("ls").json();
    assert_eq!(spaces["spaces"][0]["name"], "orders");
    assert_eq!(spaces["spaces"][0]["processes"], 1);
    assert_eq!(spaces["spaces"][0]["kept"], true);
    neighbour.kill();
    let space = place.test().args("ls orders").json();
    assert_eq!(space["processes"][0]["pid"], pid);
    assert_eq!(space["processes"][0]["alive"], false);
}

fn one_of_each(_: ()) {
    let space = Space::open("host:orders").unwrap();
    let stock = space.mutex("a-mutex", 0_u64).unwrap();
    let stock = stock.lock().unwrap();
    let tree = space.reentrant_mutex("b-reentrant", 0_u32).unwrap();
    let (_outer, _inner) = (tree.lock().unwrap(), tree.lock().unwrap());
    let rate = space.rwlock("c-rwlock", 0_u64).unwrap();
    let _reading = rate.read().unwrap();
    let slots = space.semaphore("d-semaphore", 5).unwrap();
    let _permits = slots.acquire_many(3);
    space.event("e-event").unwrap().set();
    let _once = space.once("f-once").unwrap();
    let _latch = space.latch("g-latch", 7).unwrap();
    let _condvar = space.condvar("h-condvar").unwrap();
    let numbers = space.queue::<u64>("i-queue", 10).unwrap();
    numbers.put_many(&[1, 2, 3]).unwrap();
    let lines = space.byte_queue("j-bytes", 10, 1000).unwrap();
    lines.put(b"line").unwrap();
    let meeting = space.barrier("k-barrier", 2).unwrap();
    let come = meeting.clone();
    thread::spawn(move || come.wait());
    // It has arrived a little before it sleeps, and only a sleeper is noted.
    let asleep = || inspect_object("orders", "k-barrier").unwrap().waiters.len() == 1;
    eventually("the party sleeps", || asleep().then_some(()));
    std::mem::forget(stock);
    ready()
}

/// What the command says of an object's size, while that is below 10 KiB.
fn size(place: &Place, object: &str) -> String {
    let size = fs::metadata(place.spaces().join("orders").join(object)).unwrap().len();
    format!("{:.1} KiB", size as f64 / 1024.0).replace(".0", "")
}

#[test]
fn every_kind_says_how_it_is() {
    let place = Place::new();
    let neighbour = Neighbour::start(&place, "shop", one_of_each);
    let pid = neighbour.pid();
    let mut test = place.test().args("ls host:orders");
    for line in [
        format!("a-mutex mutex u64 held 0 SIZE shop ({pid})"),
        format!("b-reentrant reentrant mutex u32 held 0 SIZE shop ({pid})"),
        format!("c-rwlock rwlock u64 1 reader 0 SIZE shop ({pid})"),
        format!("d-semaphore semaphore - 2 of 5 available 0 SIZE shop ({pid})"),
        "e-event event - set 0 SIZE -".to_owned(),
        "f-once once - not done 0 SIZE -".to_owned(),
        "g-latch latch - 7 to go 0 SIZE -".to_owned(),
        "h-condvar condvar - - 0 SIZE -".to_owned(),
        "i-queue queue u64 3 of 10 0 SIZE -".to_owned(),
        "j-bytes byte queue - 1 of 10 0 SIZE -".to_owned(),
        format!("k-barrier barrier - 1 of 2 arrived 1 SIZE shop ({pid})"),
    ] {
        let name = line.split(' ').next().unwrap().to_owned();
        let size = size(&place, &name);
        test = test.stdout_line(&line.replace("SIZE", &size));
    }
    test.success();
}

#[test]
fn holders_are_counted() {
    let place = Place::new();
    let _neighbour = Neighbour::start(&place, "shop", one_of_each);
    let objects = &place.test().args("ls orders").json()["objects"];
    let count = |name: &str| {
        let mut objects = objects.as_array().unwrap().iter();
        objects.find(|object| object["name"] == name).unwrap()["holders"][0]["count"].clone()
    };
    assert_eq!(count("b-reentrant"), 2);
    assert_eq!(count("c-rwlock"), 1);
    assert_eq!(count("d-semaphore"), 3);
}

#[test]
fn what_is_no_segment_is_named_and_the_rest_is_shown() {
    let place = Place::new();
    let _neighbour = Neighbour::start(&place, "shop", one_of_each);
    fs::write(place.spaces().join("orders/garbage"), "garbage").unwrap();
    place
        .test()
        .args("ls orders")
        .stderr_has("DIR/orders/garbage is not a usable segment")
        .stdout_line(&format!("f-once once - not done 0 {} -", size(&place, "f-once")))
        .code(3);
}
