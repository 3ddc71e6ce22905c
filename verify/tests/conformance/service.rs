//! What a service promises.

use antiphon::error::{CallError, ServiceError};
use antiphon::space::{ByteService, Service};

use crate::crew::{A_WHILE, Crew, Job, Member, die};

type Sum = Service<Vec<u64>, u64>;

fn sums(job: &Job) -> Sum {
    job.space().service("sums", 4, 200).unwrap()
}

fn work(job: Job) -> u64 {
    let mut served = 0;
    sums(&job).serve(|numbers| {
        served += 1;
        numbers.iter().sum()
    });
    served
}

pub(crate) fn each_call_gets_its_reply(crew: &Crew<'_>) {
    fn call(job: Job) -> u64 {
        let sums = sums(&job);
        for n in 0..200 {
            assert_eq!(sums.call(&vec![job.argument, n, 1]), Ok(job.argument + n + 1));
        }
        200
    }
    let sums: Sum = crew.space().service("sums", 4, 200).unwrap();
    let workers = crew.send_many(work, 0..2);
    // More callers than slots.
    let callers = crew.send_many(call, 0..6);
    let called: u64 = callers.into_iter().map(Member::join).sum();
    sums.as_bytes().shutdown();
    let served: u64 = workers.into_iter().map(Member::join).sum();
    assert_eq!((called, served), (1200, 1200));
    assert_eq!(sums.call(&vec![1]), Err(ServiceError::Call(CallError::ShutDown)));
}

fn echo(crew: &Crew<'_>) -> ByteService {
    crew.space().byte_service("echo", 2, 10).unwrap()
}

pub(crate) fn calls_that_are_given_up_disturb_nobody(crew: &Crew<'_>) {
    let echo = echo(crew);
    assert!(matches!(echo.call_timeout(b"nobody", A_WHILE), Err(CallError::TimedOut(_))));
    assert!(matches!(echo.call(b"much too long"), Err(CallError::TooLarge { longest: 10 })));
    let mut first = echo.begin(b"first").unwrap();
    let second = echo.begin(b"second").unwrap();
    assert_eq!(echo.try_begin(b"third").err(), Some(CallError::Full));
    assert_eq!(first.try_wait(), Err(CallError::Pending));
    drop(second);
    let request = echo.take().unwrap();
    assert_eq!(request.bytes(), b"first", "the one that was given up is skipped");
    assert_eq!(request.reply(b"1"), Ok(true));
    assert_eq!(first.wait(), Ok(b"1".to_vec()));

    let third = echo.begin(b"third").unwrap();
    let request = echo.take().unwrap();
    assert!(!request.is_abandoned());
    drop(third);
    assert!(request.is_abandoned());
    assert_eq!(request.reply(b"3"), Ok(false));
    assert!(echo.try_take().is_err());

    let fourth = echo.begin(b"fourth").unwrap();
    drop(echo.take().unwrap());
    assert_eq!(fourth.wait(), Err(CallError::Declined));
}

pub(crate) fn shutting_down_tells_callers(crew: &Crew<'_>) {
    fn call(job: Job) -> u64 {
        let echo = job.space().byte_service("echo", 2, 10).unwrap();
        u64::from(echo.call(b"hello") == Err(CallError::ShutDown))
    }
    let echo = echo(crew);
    let members = crew.send_many(call, 0..3);
    std::thread::sleep(A_WHILE);
    echo.shutdown();
    members.into_iter().for_each(|member| assert_eq!(member.join(), 1));
}

fn take_and_die(job: Job) -> u64 {
    let echo = job.space().byte_service("echo", 2, 10).unwrap();
    let _request = echo.take().unwrap();
    die()
}

pub(crate) fn the_death_of_a_worker_is_told(crew: &Crew<'_>) {
    let echo = echo(crew);
    let member = crew.send(take_and_die, 0);
    let pid = member.pid();
    match echo.call(b"hello") {
        Err(CallError::WorkerDied(death)) => assert_eq!(death.pid, pid),
        other => panic!("{other:?}"),
    }
    member.bury();
}

pub(crate) fn another_worker_answers_for_the_dead(crew: &Crew<'_>) {
    fn answer(job: Job) -> u64 {
        let echo = job.space().byte_service("echo", 2, 10).unwrap();
        echo.serve(<[u8]>::to_vec);
        0
    }
    let echo = echo(crew).retrying();
    let pending = echo.begin(b"hello").unwrap();
    crew.send(take_and_die, 0).bury();
    let member = crew.send(answer, 0);
    assert_eq!(pending.wait(), Ok(b"hello".to_vec()));
    echo.shutdown();
    member.finish();
}

pub(crate) fn dead_callers_leave_their_places(crew: &Crew<'_>) {
    fn call_and_die(job: Job) -> u64 {
        let echo = job.space().byte_service("echo", 2, 10).unwrap();
        let _calls = [echo.begin(b"one").unwrap(), echo.begin(b"two").unwrap()];
        die()
    }
    let echo = echo(crew);
    crew.send(call_and_die, 0).bury();
    let pending = echo.begin(b"three").unwrap();
    let request = echo.take().unwrap();
    let answered: Vec<u8> = request.bytes().to_vec();
    let _ = request.reply(b"ok");
    if answered != b"three" {
        // What the dead had asked may be answered in vain.
        while let Ok(request) = echo.try_take() {
            let _ = request.reply(b"ok");
        }
    }
    assert_eq!(pending.wait(), Ok(b"ok".to_vec()));
}
