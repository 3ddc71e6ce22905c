//! A victim that is stopped at an instruction of one's choice.
//!
//! A first victim goes through the act instruction by instruction and leaves a trace. The next ones start from the same bytes
//! and so take the same way: each runs up to *its* instruction by a breakpoint there, which takes one stop instead of
//! hundreds.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use antiphon_verify::child::Child;
use antiphon_verify::watchdog;

/// Where a victim is in its act.
const BEFORE: u32 = 0;
const AT_IT: u32 = 1;
const DONE: u32 = 2;

/// An instant at which a victim can be killed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stop {
    /// Before the instruction at this address.
    At(u64),
    /// In a system call that sleeps.
    Asleep,
}

/// What a victim came to when it was let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    Stopped,
    Asleep,
    /// The act is over.
    Over,
}

/// A traced child, stopped before the first instruction of its act.
#[derive(Debug)]
pub(crate) struct Victim<'a> {
    child: Child,
    mark: &'a AtomicU32,
}

/// After so long without a stop one looks whether the victim sleeps.
const GLANCE: Duration = Duration::from_micros(300);

impl<'a> Victim<'a> {
    /// Forks it; `before` runs at full speed, `act` is what it may be stopped in.
    pub(crate) fn new(mark: &'a AtomicU32, before: &dyn Fn(), act: &dyn Fn()) -> Self {
        mark.store(BEFORE, SeqCst);
        let child = Child::fork(|| {
            before();
            // SAFETY: it asks to be traced by its parent, and stops until that one goes on.
            unsafe {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
            }
            mark.store(AT_IT, SeqCst);
            act();
            mark.store(DONE, SeqCst);
            // The end: nobody comes back from here.
            loop {
                // SAFETY: it only stops this process.
                unsafe { libc::raise(libc::SIGSTOP) };
            }
        });
        let victim = Self { child, mark };
        assert!(victim.has_stopped(0), "a victim does not stop");
        while mark.load(SeqCst) == BEFORE {
            assert_eq!(victim.step(), Pause::Stopped, "a victim before its act");
        }
        victim
    }

    /// Goes through the whole act, and says where it can be stopped. A sleep is ended by `nudge`; if that cannot, it is
    /// the end.
    pub(crate) fn trace(&self, nudge: &dyn Fn() -> bool) -> Result<Vec<Stop>, String> {
        let mut trace = vec![Stop::At(self.rip())];
        loop {
            let mut pause = self.step();
            while pause == Pause::Asleep {
                trace.push(Stop::Asleep);
                if !nudge() {
                    return Ok(trace);
                }
                pause = self.woken().ok_or_else(|| format!("hang: asleep at {}", trace.len()))?;
            }
            if pause == Pause::Over {
                return Ok(trace);
            }
            trace.push(Stop::At(self.rip()));
        }
    }

    /// Runs to the `number`th stop of the trace. False: it took another way and came to the end.
    pub(crate) fn run_to(
        &self,
        trace: &[Stop],
        number: usize,
        nudge: &dyn Fn() -> bool,
    ) -> Result<bool, String> {
        let goal = trace[number];
        // How often it passes there on the way.
        let mut passes = trace[..number].iter().filter(|stop| **stop == goal).count();
        let Stop::At(rip) = goal else { return self.run_to_sleep(passes, nudge) };
        let mut here = rip == self.rip();
        loop {
            if here {
                if passes == 0 {
                    return Ok(true);
                }
                passes -= 1;
                let pause = self.step();
                if !self.keep_awake(pause, nudge)? {
                    return Ok(false);
                }
            }
            let original = self.plant(rip);
            let pause = self.resume(libc::PTRACE_CONT, false);
            if !self.keep_awake(pause, nudge)? {
                return Ok(false);
            }
            self.remove(rip, original);
            here = true;
        }
    }

    /// Runs until it has fallen asleep and been woken so often, and sleeps again.
    fn run_to_sleep(&self, mut passes: usize, nudge: &dyn Fn() -> bool) -> Result<bool, String> {
        let mut pause = self.resume(libc::PTRACE_CONT, false);
        while pause == Pause::Asleep && passes > 0 {
            passes -= 1;
            if !nudge() {
                return Ok(false);
            }
            pause = self.woken().ok_or("hang: the victim is not woken")?;
        }
        Ok(pause == Pause::Asleep)
    }

    /// Wakes it until it stands at an instruction. False: it sleeps for good, or came to the end.
    fn keep_awake(&self, mut pause: Pause, nudge: &dyn Fn() -> bool) -> Result<bool, String> {
        while pause == Pause::Asleep {
            if !nudge() {
                return Ok(false);
            }
            pause = self.woken().ok_or("hang: the victim is not woken")?;
        }
        Ok(pause == Pause::Stopped)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill();
    }

    fn step(&self) -> Pause {
        // To wait for it hands it the processor: what takes a microsecond so takes a time slice when one looks again and again.
        let sure = !self.stands_before_a_system_call();
        self.resume(libc::PTRACE_SINGLESTEP, sure)
    }

    /// Lets it go on. `sure`: it stops soon, whatever it does.
    fn resume(&self, how: libc::c_uint, sure: bool) -> Pause {
        if self.mark.load(SeqCst) == DONE {
            return Pause::Over;
        }
        // SAFETY: the child is ours, traced and stopped.
        let error = unsafe { libc::ptrace(how, self.child.pid(), 0, 0) };
        assert!(error == 0, "ptrace: {}", io::Error::last_os_error());
        if sure {
            self.has_stopped(0);
            return self.stopped();
        }
        let began = Instant::now();
        loop {
            if self.has_stopped(libc::WNOHANG) {
                return self.stopped();
            }
            if began.elapsed() > GLANCE && is_asleep(self.child.pid()) {
                return Pause::Asleep;
            }
            assert!(began.elapsed() < watchdog::PATIENCE, "a victim neither stops nor sleeps");
            std::thread::sleep(Duration::from_micros(10));
        }
    }

    fn stopped(&self) -> Pause {
        if self.mark.load(SeqCst) == DONE { Pause::Over } else { Pause::Stopped }
    }

    /// Waits for one that sleeps and has been woken. `None`: it sleeps on.
    fn woken(&self) -> Option<Pause> {
        let mut glances = 0;
        let mut pause = None;
        watchdog::until(|| {
            if self.has_stopped(libc::WNOHANG) {
                pause = Some(self.stopped());
            } else if is_asleep(self.child.pid()) {
                // Not yet on its way, or asleep again before it stopped anywhere.
                glances += 1;
                if glances > 100 {
                    pause = Some(Pause::Asleep);
                }
            }
            pause.is_some()
        });
        pause
    }

    fn rip(&self) -> u64 {
        let at = std::mem::offset_of!(libc::user_regs_struct, rip);
        // SAFETY: the child is ours, traced and stopped.
        unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, self.child.pid(), at, 0) as u64 }
    }

    fn stands_before_a_system_call(&self) -> bool {
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        // SAFETY: the child was forked from us and has the same code at the same addresses.
        unsafe { (self.rip() as *const [u8; 2]).read_unaligned() == SYSCALL }
    }

    /// Plants a breakpoint, and returns what was there.
    fn plant(&self, rip: u64) -> i64 {
        const INT3: i64 = 0xcc;
        let pid = self.child.pid();
        // SAFETY: the child is ours, traced and stopped; its code is its own copy.
        unsafe {
            let original = libc::ptrace(libc::PTRACE_PEEKTEXT, pid, rip, 0);
            libc::ptrace(libc::PTRACE_POKETEXT, pid, rip, original & !0xff | INT3);
            original
        }
    }

    /// Removes it again, and sets the victim back to before the instruction.
    fn remove(&self, rip: u64, original: i64) {
        let at = std::mem::offset_of!(libc::user_regs_struct, rip);
        let pid = self.child.pid();
        // SAFETY: as above; the register is where the breakpoint was.
        unsafe {
            libc::ptrace(libc::PTRACE_POKETEXT, pid, rip, original);
            libc::ptrace(libc::PTRACE_POKEUSER, pid, at, rip);
        }
    }

    /// Has it stopped? Without `WNOHANG` in `options`, waits until it has.
    fn has_stopped(&self, options: i32) -> bool {
        let mut status = 0;
        // SAFETY: `status` is writable, the child is ours.
        let pid = unsafe { libc::waitpid(self.child.pid(), &mut status, options) };
        assert!(pid >= 0, "waitpid: {}", io::Error::last_os_error());
        assert!(pid == 0 || libc::WIFSTOPPED(status), "a victim ended by itself: {status:#x}");
        pid != 0
    }
}

/// Does the process sleep in the kernel?
pub(crate) fn is_asleep(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}
