//! Sending through a pipe and closing the end of it: what the other end receives, and that it is told.

use std::cell::RefCell;
use std::rc::Rc;

use antiphon::error::pipe::{RecvError, TimedRecvError};
use antiphon::space::{Connection, PipeEnd};

use super::super::{Act, Ward};

const NAME: &str = "pipe";
const BYTES: u64 = 256;
const MESSAGE: &[u8] = b"of the victim";

/// A new pipe for each victim: an end is for good.
struct Case {
    ward: Ward,
    /// The end of the one who kills.
    ours: RefCell<Option<Connection>>,
    /// That of the victim, in its memory.
    theirs: RefCell<Option<Connection>>,
}

impl Case {
    fn new(ward: &Ward) -> Rc<Self> {
        Rc::new(Self { ward: ward.clone(), ours: RefCell::default(), theirs: RefCell::default() })
    }

    fn open(&self, end: PipeEnd) -> Connection {
        self.ward.space.one_way_pipe_end(NAME, BYTES, end).expect("a pipe")
    }

    fn prepare(&self) {
        self.ours.replace(None);
        // There is none the first time.
        let _ = self.ward.space.remove(NAME);
        self.ours.replace(Some(self.open(PipeEnd::First)));
    }

    fn send_and_close(&self) {
        let end = self.theirs.take().expect("it was opened");
        end.send(MESSAGE).expect("the other end is there");
        drop(end);
    }

    /// The message, or none; then the end.
    fn check(&self) -> Result<u32, String> {
        let ours = self.ours.borrow();
        let ours = ours.as_ref().expect("it was prepared");
        let mut messages = 0;
        loop {
            match ours.recv_timeout(self.ward.patience.get()) {
                Ok(message) if message == MESSAGE => messages += 1,
                Ok(message) => return Err(format!("torn: {message:?}")),
                Err(TimedRecvError::Recv(RecvError::Closed)) => return Ok(messages),
                Err(error) => return Err(format!("hang: {error}")),
            }
        }
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let case = Case::new(ward);
    let act = |name: &str, check: Box<dyn Fn(u32) -> Result<u32, String>>| {
        let [prepares, opens, acts] = [(); 3].map(|()| case.clone());
        Act::new(name, move |_| acts.send_and_close(), check)
            .prepare(move || prepares.prepare())
            .before(move || {
                opens.theirs.replace(Some(opens.open(PipeEnd::Second)));
            })
    };
    let [alone, sleeper, told] = [(); 3].map(|()| case.clone());
    vec![
        act("pipe: send and close", Box::new(move |_| alone.check())),
        act(
            "pipe: send and close with a sleeper",
            Box::new(move |_| match told.ward.helped()? {
                0 => Ok(0),
                code => Err(format!("torn: the sleeper says {code}")),
            }),
        )
        .varies()
        .meanwhile(move || {
            let end = sleeper.ours.borrow().clone().expect("it was prepared");
            sleeper.ward.help(|| {
                while let Ok(message) = end.recv() {
                    if message != MESSAGE {
                        return 7;
                    }
                }
                0
            });
        }),
    ]
}
