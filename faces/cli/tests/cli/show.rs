use std::thread;

use antiphon::Space;

use crate::support::{Neighbour, Place, Test, eventually, ready};

#[test]
fn what_is_not_there_is_an_error() {
    Test::new().args("show a/b").stderr_has("there is no space named \"a\"").code(1);
    let place = Place::new();
    let _neighbour = Neighbour::start(&place, "shop", holder_and_waiter);
    place.test().args("show orders/b").stderr_has("there is no object named \"b\"").code(1);
}

fn holder_and_waiter(_: ()) {
    let space = Space::open("host:orders").unwrap();
    let stock = space.mutex("stock", [0_u32; 2]).unwrap();
    let held = stock.lock().unwrap();
    let waiter = stock.clone();
    thread::spawn(move || drop(waiter.lock()));
    let waits = || {
        let space = antiphon::inspect::inspect_space("orders").unwrap();
        let stock = antiphon::inspect::inspect_object("orders", "stock").unwrap();
        let activity = antiphon::inspect::activity(&space, &stock);
        (!activity.waiters.is_empty()).then_some(())
    };
    eventually("somebody waits", waits);
    std::mem::forget(held);
    ready()
}

#[test]
fn who_holds_and_who_waits() {
    let place = Place::new();
    let neighbour = Neighbour::start(&place, "shop", holder_and_waiter);
    place
        .test()
        .args("show host:orders/stock")
        .stdout_begins("orders/stock: mutex of [u32; 2], held\n\nHeld by")
        .stdout_line("contended 1")
        .stdout_line("awaits repair no")
        .success();
    let object = &place.test().args("show orders/stock").json()["object"];
    let (holder, waiter) = (&object["holders"][0], &object["waiters"][0]);
    for party in [holder, waiter] {
        assert_eq!(party["who"], "shop");
        assert_eq!(party["pid"], neighbour.pid());
        assert_eq!(party["alive"], true);
        assert!(party["for_ns"].as_u64().unwrap() > 0);
        assert!(party["site"].as_str().unwrap().contains("show.rs:"));
    }
    assert_ne!(holder["thread"], waiter["thread"]);
    assert_eq!(waiter["left_ns"], serde_json::Value::Null);
    assert_eq!(object["state"]["acquired"], 1);
    assert_eq!(object["counters"]["contended"], 1);
    assert_eq!(object["creator"]["pid"], neighbour.pid());
}

fn heir(_: ()) {
    let space = Space::open("host:orders").unwrap();
    let stock = space.mutex("stock", [0_u32; 2]).unwrap();
    let mut stock = stock.lock().unwrap_err().into_guard().unwrap();
    stock.repair();
    std::mem::forget(stock);
    ready()
}

#[test]
fn a_death_is_remembered() {
    let place = Place::new();
    let victim = Neighbour::start(&place, "shop", holder_and_waiter);
    let pid = victim.pid();
    let _keeper = Neighbour::start(&place, "keeper", |()| {
        let _space = Space::open("host:orders").unwrap();
        ready()
    });
    victim.kill();
    place.test().args("show orders/stock").stdout_line("Nobody waits for it.").code(0);
    let _heir = Neighbour::start(&place, "heir", heir);
    let object = &place.test().args("show orders/stock").json()["object"];
    assert_eq!(object["last_death"]["who"], "shop");
    assert_eq!(object["last_death"]["pid"], pid);
    assert_eq!(object["last_death"]["cause"], "Died");
    assert_eq!(object["counters"]["deaths"], 1);
    assert_eq!(object["counters"]["repairs"], 1);
    assert_eq!(object["holders"][0]["who"], "heir");
    let shown = place.test().args("show orders/stock").success().stdout;
    assert!(shown.contains(&format!("shop (pid {pid}")), "{shown}");
    assert!(shown.contains("died holding it for at least"), "{shown}");
}
