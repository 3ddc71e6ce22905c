//! What pipes promise.

use std::time::Duration;

use antiphon::error::pipe::{
    RecvError, SendError, TimedRecvError, TimedSendError, TryRecvError, TrySendError,
};
use antiphon::process;
use antiphon::space::{Connection, Mutex, PipeEnd};
use antiphon::{Space, error::MessageError};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

const BYTES: u64 = 1 << 16;
/// Nothing takes that long; what would hang fails.
const LONG: Duration = Duration::from_secs(50);

fn first(space: &Space) -> Connection {
    space.pipe_end("pipe", BYTES, PipeEnd::First).unwrap()
}

fn second(space: &Space) -> Connection {
    space.pipe_end("pipe", BYTES, PipeEnd::Second).unwrap()
}

/// Answers each message with the same backwards; how many there were.
fn echo(job: Job) -> u64 {
    let end = second(&job.space());
    let mut count = 0;
    while let Ok(mut message) = end.recv() {
        message.reverse();
        end.send(&message).unwrap();
        count += 1;
    }
    count
}

pub(crate) fn messages_of_any_length_go_both_ways(crew: &Crew<'_>) {
    let end = first(&crew.space());
    let member = crew.send(echo, 0);
    assert_eq!(end.longest(), BYTES as usize - 8);
    let lengths = [0, 1, 7, 8, 9, 1000, 30_000, end.longest()];
    for (lap, len) in lengths.into_iter().cycle().take(200).enumerate() {
        let mut message: Vec<u8> = (0..len).map(|n| (n + lap) as u8).collect();
        end.send(&message).unwrap();
        let answer =
            if lap % 2 == 0 { end.recv() } else { end.recv_timeout(LONG).map_err(untimed) };
        message.reverse();
        assert!(answer == Ok(message), "{len} bytes");
    }
    assert_eq!(end.send(&vec![0; BYTES as usize]), Err(SendError::TooLarge));
    drop(end);
    assert_eq!(member.join(), 200);
}

fn untimed(error: TimedRecvError) -> RecvError {
    match error {
        TimedRecvError::Recv(error) => error,
        TimedRecvError::TimedOut(timeout) => panic!("{timeout}"),
    }
}

pub(crate) fn it_is_bounded_and_timeouts_take_nothing(crew: &Crew<'_>) {
    let (a, b) = crew.space().pipe("pipe", 64).unwrap();
    assert_eq!(b.try_recv(), Err(TryRecvError::Empty));
    assert!(matches!(b.recv_timeout(A_WHILE), Err(TimedRecvError::TimedOut(_))));
    assert!(!b.poll() && !b.poll_timeout(A_WHILE));
    for lap in 0..10u8 {
        a.try_send(&[lap; 20]).unwrap();
        a.send_timeout(&[lap; 20], LONG).unwrap();
        assert_eq!(a.try_send(&[9]), Err(TrySendError::Full));
        assert!(matches!(a.send_timeout(&[9], A_WHILE), Err(TimedSendError::TimedOut(_))));
        assert!(b.poll() && b.len() == 2);
        // The other way is another ring.
        b.try_send(b"back").unwrap();
        assert_eq!((b.try_recv().unwrap(), b.recv().unwrap()), (vec![lap; 20], vec![lap; 20]));
        assert_eq!(a.recv().unwrap(), b"back");
    }
}

pub(crate) fn the_last_to_close_ends_it(crew: &Crew<'_>) {
    fn send(job: Job) -> u64 {
        let end = second(&job.space());
        let clone = end.clone();
        drop(end);
        clone.send(&[job.argument as u8]).unwrap();
        0
    }
    let space = crew.space();
    let end = first(&space);
    // Nobody has come for the other end yet: that is no end.
    assert_eq!(end.try_recv(), Err(TryRecvError::Empty));
    end.send(b"for whoever comes").unwrap();
    let ours = second(&space);
    crew.send_many(send, 1..4).into_iter().for_each(Member::finish);
    let mut got: Vec<u8> = (0..3).map(|_| end.recv().unwrap()[0]).collect();
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
    assert!(!end.poll(), "one has it still");
    ours.send(b"last").unwrap();
    drop(ours);
    assert!(end.poll_timeout(LONG));
    assert_eq!(end.recv().unwrap(), b"last");
    for _ in 0..2 {
        assert_eq!(end.recv(), Err(RecvError::Closed));
        assert_eq!(end.try_recv(), Err(TryRecvError::Recv(RecvError::Closed)));
        assert_eq!(end.send(b"?"), Err(SendError::Closed));
    }
    // For good: what is opened by that name is still the pipe that has ended.
    assert_eq!(second(&space).try_send(b"?"), Err(TrySendError::Send(SendError::Closed)));
}

pub(crate) fn a_close_ends_the_waits_of_the_other_end(crew: &Crew<'_>) {
    fn wait(job: Job) -> u64 {
        let end = second(&job.space());
        match job.argument {
            0 => assert_eq!(end.recv(), Err(RecvError::Closed)),
            1 => assert_eq!(end.recv_timeout(LONG), Err(TimedRecvError::Recv(RecvError::Closed))),
            2 => assert!(end.poll_timeout(LONG)),
            _ => {
                while end.send(&[0; 1000]).is_ok() {}
                assert_eq!(end.send(b""), Err(SendError::Closed));
            }
        }
        1
    }
    let end = first(&crew.space());
    let members = crew.send_many(wait, 0..4);
    // Until they have opened it and wait.
    std::thread::sleep(10 * A_WHILE);
    drop(end);
    assert_eq!(members.into_iter().map(Member::join).sum::<u64>(), 4);
}

pub(crate) fn one_way_is_one_way(crew: &Crew<'_>) {
    fn send(job: Job) -> u64 {
        let end = job.space().one_way_pipe_end("pipe", BYTES, PipeEnd::Second).unwrap();
        assert!(end.can_send() && !end.can_receive());
        end.send(b"news").unwrap();
        0
    }
    let space = crew.space();
    let end = space.one_way_pipe_end("pipe", BYTES, PipeEnd::First).unwrap();
    assert!(!end.can_send() && end.can_receive());
    crew.send(send, 0).finish();
    assert_eq!(end.recv().unwrap(), b"news");
    assert_eq!(end.recv(), Err(RecvError::Closed));
    // The two are different things.
    assert!(space.pipe("pipe", BYTES).is_err());
}

/// Ends and other objects go through pipes and queues, and are never nobody's on the way.
pub(crate) fn handles_travel(crew: &Crew<'_>) {
    fn take(job: Job) -> u64 {
        let posts = job.space().message_queue::<Connection>("posts", 4, 4096).unwrap();
        let end = posts.get().unwrap();
        drop(posts);
        let (answers, sum): (Connection, Mutex<u64>) = end.recv_value().unwrap();
        *sum.lock().unwrap() += 35;
        answers.send_value(&"done").unwrap();
        drop(answers);
        end.recv().unwrap_err();
        0
    }
    let space = crew.space();
    let posts = space.message_queue::<Connection>("posts", 4, 4096).unwrap();
    let (ours, theirs) = space.pipe("pipe", BYTES).unwrap();
    posts.put(&theirs).unwrap();
    drop(theirs);
    // It is in the queue, and open.
    assert_eq!(ours.try_recv(), Err(TryRecvError::Empty));
    let (answers, for_answers) = space.one_way_pipe("answers", 512).unwrap();
    let sum = space.mutex("sum", 7u64).unwrap();
    ours.send_value(&(&for_answers, &sum)).unwrap();
    drop(for_answers);
    let member = crew.send(take, 0);
    assert_eq!(answers.recv_value::<String>().unwrap(), "done");
    assert_eq!(*sum.lock().unwrap(), 42);
    assert_eq!(answers.recv(), Err(RecvError::Closed));
    drop(ours);
    member.finish();

    // What could not be sent is not on its way.
    let (ours, theirs) = space.pipe("other", 8).unwrap();
    for _ in 0..30 {
        let refused = theirs.send_value(&theirs);
        assert!(matches!(refused, Err(MessageError::Queue(SendError::TooLarge))), "{refused:?}");
    }
    drop(theirs);
    assert_eq!(ours.recv(), Err(RecvError::Closed));
}

pub(crate) fn a_death_ends_it(crew: &Crew<'_>) {
    fn talk_and_die(job: Job) -> u64 {
        let end = second(&job.space());
        end.send(b"I").unwrap();
        if job.argument == 1 {
            while end.try_send(&[0; 1000]).is_ok() {}
        }
        end.recv().unwrap();
        die()
    }
    // One who sleeps to receive.
    let space = crew.space();
    let end = first(&space);
    let member = crew.send(talk_and_die, 0);
    assert_eq!(end.recv().unwrap(), b"I");
    end.send(b"go").unwrap();
    assert_eq!(end.recv(), Err(RecvError::Closed));
    assert_eq!(end.send(b"?"), Err(SendError::Closed));
    member.bury();
    drop(end);
    space.remove("pipe").unwrap();

    // One who sleeps for room.
    let end = first(&space);
    let member = crew.send(talk_and_die, 0);
    assert_eq!(end.recv().unwrap(), b"I");
    while end.send(&[0; 1000]).is_ok() {}
    member.bury();
    drop(end);
    space.remove("pipe").unwrap();

    // One who comes later, and takes what the dead had sent.
    let end = first(&space);
    let member = crew.send(talk_and_die, 1);
    end.send(b"go").unwrap();
    member.bury();
    assert_eq!(end.try_recv().unwrap(), b"I");
    while end.try_recv().is_ok() {}
    assert_eq!(end.try_recv(), Err(TryRecvError::Recv(RecvError::Closed)));
    let late = first(&space);
    assert_eq!(late.try_send(b"?"), Err(TrySendError::Send(SendError::Closed)));
}

pub(crate) fn a_death_of_one_of_two_ends_nothing(crew: &Crew<'_>) {
    fn hold_and_die(job: Job) -> u64 {
        let end = second(&job.space());
        end.send(b"here").unwrap();
        die()
    }
    let end = first(&crew.space());
    let other = crew.send(echo, 0);
    end.send(b"olleh").unwrap();
    assert_eq!(end.recv().unwrap(), b"hello");
    crew.send(hold_and_die, 0).bury();
    assert_eq!(end.recv().unwrap(), b"here");
    assert!(!end.poll_timeout(A_WHILE));
    end.send(b"?llits").unwrap();
    assert_eq!(end.recv().unwrap(), b"still?");
    drop(end);
    assert_eq!(other.join(), 2);
}

/// An end in a child's argument is the child's before the parent lets go of it.
pub(crate) fn an_end_travels_to_a_child(_: &Crew<'_>) {
    fn answer(end: Connection) {
        while let Ok(message) = end.recv() {
            end.send(&message).unwrap();
        }
    }
    let space = Space::anonymous().unwrap();
    for name in ["a", "b"] {
        let (ours, theirs) = space.pipe(name, BYTES).unwrap();
        let child = process::spawn(answer, theirs).unwrap();
        ours.send(b"hello").unwrap();
        assert_eq!(ours.recv().unwrap(), b"hello");
        drop(ours);
        child.join().unwrap();
    }
    let (ours, theirs) = space.pipe("c", BYTES).unwrap();
    let child = process::spawn(answer, theirs).unwrap();
    ours.send(b"hello").unwrap();
    assert_eq!(ours.recv().unwrap(), b"hello");
    child.kill().unwrap();
    assert_eq!(ours.recv(), Err(RecvError::Closed));
    drop(child.join());
}
