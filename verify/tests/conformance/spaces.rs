//! What spaces promise: names, kinds, lives.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use antiphon::error::SpaceError;
use antiphon::space::Lifetime;
use antiphon::{Space, inspect, process, space};

use crate::crew::{Crew, Job, die};

pub(crate) fn what_differs_is_refused(crew: &Crew<'_>) {
    fn try_it(job: Job) -> u64 {
        let space = job.space();
        let refused = |result: Result<(), SpaceError>| match result {
            Err(SpaceError::Mismatch { .. }) => 1,
            _ => 0,
        };
        refused(space.mutex("mutex", 0_i64).map(drop))
            + refused(space.event("mutex").map(drop))
            + refused(space.queue::<u64>("queue", 6).map(drop))
            + refused(space.queue::<u32>("queue", 5).map(drop))
            + refused(space.semaphore("permits", 4).map(drop))
            + refused(space.barrier("barrier", 3).map(drop))
    }
    let space = crew.space();
    let _mutex = space.mutex("mutex", 0_u64).unwrap();
    let _queue = space.queue::<u64>("queue", 5).unwrap();
    let _permits = space.semaphore("permits", 3).unwrap();
    let _barrier = space.barrier("barrier", 2).unwrap();
    assert_eq!(crew.send(try_it, 0).join(), 6);
    let error = space.mutex("mutex", 0_i64).unwrap_err().to_string();
    assert!(error.contains("i64") && error.contains("u64") && error.contains("mutex"), "{error}");
}

pub(crate) fn names_are_checked(crew: &Crew<'_>) {
    let space = crew.space();
    for bad in ["", ".", "..", "a/b", "../a", "a b", ".hidden", "é", &"x".repeat(101)] {
        let error = space.event(bad).unwrap_err();
        assert!(matches!(error, SpaceError::BadName { .. }), "{bad}: {error}");
        let address = format!("{}:{bad}", crew.scope());
        assert!(matches!(Space::open(&address), Err(SpaceError::BadName { .. })), "{bad}");
    }
    assert!(matches!(Space::open("nowhere:x"), Err(SpaceError::BadScope { .. })));
    assert!(matches!(Space::open("x"), Err(SpaceError::BadScope { .. })));
    assert!(space.event(&"x".repeat(100)).is_ok());
}

pub(crate) fn two_at_once(crew: &Crew<'_>) {
    let (one, other) = (crew.space(), Space::open(&format!("{}:other", crew.scope())).unwrap());
    let (a, b) = (one.mutex("mutex", 1_u64).unwrap(), other.mutex("mutex", 2_u64).unwrap());
    let (a, b) = (a.lock().unwrap(), b.lock().unwrap());
    assert_eq!((*a, *b), (1, 2));
}

pub(crate) fn removed_names_begin_anew(crew: &Crew<'_>) {
    let space = crew.space();
    let old = space.mutex("mutex", 1_u64).unwrap();
    assert!(space.contains("mutex"));
    space.remove("mutex").unwrap();
    assert!(!space.contains("mutex"));
    assert!(matches!(space.remove("mutex"), Err(SpaceError::NotFound { .. })));
    let new = space.mutex("mutex", 2_u64).unwrap();
    assert_eq!((*old.lock().unwrap(), *new.lock().unwrap()), (1, 2));
}

pub(crate) fn objects_travel_to_children(crew: &Crew<'_>) {
    for space in [crew.space(), Space::anonymous().unwrap()] {
        let mutex = space.mutex("mutex", 7_u64).unwrap();
        let queue = space.queue::<u64>("queue", 5).unwrap();
        let add = |(mutex, queue): (space::Mutex<u64>, space::Queue<u64>)| {
            *mutex.lock().unwrap() += 1;
            queue.put(*mutex.lock().unwrap()).unwrap();
        };
        let twin = (space.mutex("mutex", 7_u64).unwrap(), space.queue("queue", 5).unwrap());
        process::spawn(add, twin).unwrap().join().unwrap();
        assert_eq!(*mutex.lock().unwrap(), 8);
        assert_eq!(queue.try_get(), Ok(8));
    }
}

/// Opens the space and an event; 1: the event was there and set.
fn visit(job: Job) -> u64 {
    let event = job.space().event("event").unwrap();
    let set = event.is_set();
    event.set();
    u64::from(set)
}

pub(crate) fn it_goes_with_its_last_user(crew: &Crew<'_>) {
    let path = crew.directory().join("stage");
    let space = crew.space();
    assert_eq!(crew.send(visit, 0).join(), 0);
    assert_eq!(crew.send(visit, 0).join(), 1);
    assert!(path.exists());
    drop(space);
    assert!(!path.exists());
    assert_eq!(crew.send(visit, 0).join(), 0);
}

pub(crate) fn kept_ones_stay(crew: &Crew<'_>) {
    drop(Space::builder("host:stage").lifetime(Lifetime::Kept).open().unwrap());
    assert_eq!(crew.send(visit, 0).join(), 0);
    assert_eq!(crew.send(visit, 0).join(), 1);
    assert!(crew.directory().join("stage").exists());
    inspect::remove_space("stage").unwrap();
    assert!(!crew.directory().join("stage").exists());
}

pub(crate) fn the_dead_are_swept(crew: &Crew<'_>) {
    fn visit_and_die(job: Job) -> u64 {
        let space = job.space();
        space.event("event").unwrap().set();
        die()
    }
    crew.send(visit_and_die, 0).bury();
    assert!(crew.directory().join("stage").exists());
    // The next open of any space clears it away.
    drop(Space::open("host:other").unwrap());
    assert!(!crew.directory().join("stage").exists());
    // And who opens that very space finds it new.
    crew.send(visit_and_die, 0).bury();
    assert_eq!(crew.send(visit, 0).join(), 0);
    crew.send(visit_and_die, 0).bury();
    assert_eq!(inspect::clean(true), ["stage"]);
    assert_eq!(inspect::clean(false), ["stage"]);
}

pub(crate) fn nameless_ones_leave_nothing(crew: &Crew<'_>) {
    let space = Space::anonymous().unwrap();
    let mutex = space.mutex("mutex", 1_u64).unwrap();
    *mutex.lock().unwrap() += 1;
    assert_eq!(std::fs::read_dir(crew.directory()).unwrap().count(), 0);
}

pub(crate) fn who_takes_part_is_listed(crew: &Crew<'_>) {
    fn stay(job: Job) -> u64 {
        let space = job.space();
        space.event("here").unwrap().set();
        space.event("enough").unwrap().wait();
        0
    }
    let space = crew.space();
    let member = crew.send(stay, 0);
    space.event("here").unwrap().wait();
    let mut pids: Vec<_> = space.participants().iter().map(|p| p.pid).collect();
    pids.sort_unstable();
    let mut expected = [std::process::id(), member.pid()];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    space.event("enough").unwrap().set();
    member.join();
    assert_eq!(space.participants().len(), 1);
}

pub(crate) fn there_is_a_limit(crew: &Crew<'_>) {
    fn open(_: Job) -> u64 {
        let opened = Space::open("host:small");
        u64::from(matches!(opened, Err(SpaceError::TooManyParticipants { limit: 1 })))
    }
    let space = Space::builder("host:small").participants(1).open().unwrap();
    assert_eq!(crew.send(open, 0).join(), 1);
    drop(space);
}

pub(crate) fn a_removed_space_is_whole_or_gone(crew: &Crew<'_>) {
    let left = || std::fs::read_dir(crew.directory()).unwrap().count();
    for _ in 0..50 {
        let space = crew.space();
        let (event, removed) = (space.event("event").unwrap(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // Members that make objects all the time, while it is taken away from under them.
            for member in 0..2 {
                let (space, removed) = (space.clone(), &removed);
                scope.spawn(move || {
                    for number in 0_u64.. {
                        match space.event(&format!("event-{member}-{}", number % 50)) {
                            Ok(_) if number % 50 == 49 => (0..50).for_each(|i| {
                                let _ = space.remove(&format!("event-{member}-{i}"));
                            }),
                            Ok(_) => {}
                            Err(SpaceError::Removed { .. }) => break,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    assert!(removed.load(SeqCst) || !crew.directory().join("stage").exists());
                });
            }
            std::thread::sleep(std::time::Duration::from_micros(500));
            inspect::remove_space("stage").unwrap();
            removed.store(true, SeqCst);
        });
        assert_eq!(left(), 0, "nothing is left, under whatever name");
        // What they have open goes on.
        event.set();
        assert!(event.is_set());
    }
}

pub(crate) fn a_group_can_share(crew: &Crew<'_>) {
    fn visit(_: Job) -> u64 {
        // SAFETY: takes no arguments.
        let group = unsafe { libc::getegid() };
        let space = Space::open(&format!("host:stage@{group}")).unwrap();
        *space.mutex("mutex", 0_u64).unwrap().lock().unwrap()
    }
    // SAFETY: takes no arguments.
    let group = unsafe { libc::getegid() };
    let space = Space::builder("host:stage").group(group).open().unwrap();
    assert_eq!(space.address(), format!("host:stage@{group}"));
    let mutex = space.mutex("mutex", 7_u64).unwrap();
    assert_eq!(crew.send(visit, 0).join(), 7);
    let mut base = crew.directory().as_os_str().to_owned();
    base.push(format!("-group-{group}"));
    let base = std::path::PathBuf::from(base);
    for (name, mode) in [("", 0o2770), ("stage", 0o2770), ("stage/mutex", 0o660)] {
        let found = base.join(name).metadata().unwrap();
        assert_eq!((found.mode() & 0o7777, found.gid()), (mode, group), "{name}");
    }
    // Somebody who is no member is told whose it is, and one that lets others in is refused.
    std::fs::set_permissions(base.join("stage"), Permissions::from_mode(0o2777)).unwrap();
    let error = Space::open(&format!("host:stage@{group}")).map(|s| s.event("event").map(drop));
    assert!(matches!(error, Ok(Ok(()))), "it is open already: {error:?}");
    let name = format!("stage@{group}");
    assert!(matches!(inspect::inspect_space(&name), Err(SpaceError::Insecure { .. })));
    std::fs::set_permissions(base.join("stage"), Permissions::from_mode(0o2770)).unwrap();
    assert_eq!(inspect::inspect_space(&name).unwrap().objects, ["event", "mutex"]);
    // It is another space than the user's own of this name.
    assert!(!crew.space().contains("mutex"));
    drop((space, mutex));
    assert_eq!(std::fs::read_dir(&base).unwrap().count(), 0);
    std::fs::remove_dir(&base).unwrap();
}
