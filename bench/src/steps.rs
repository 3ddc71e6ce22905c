//! Counts exactly what an operation executes: a child single-steps through it under ptrace, and each instruction is looked
//! at. Needs no performance counters, which virtual machines often hide.

use crate::child::Child;
use crate::plan::Figures;
use crate::scene::Failure;
use std::arch::asm;

/// What one execution of an operation consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub instructions: u64,
    /// Instructions that lock a cache line: a `lock` prefix, or `xchg` with memory.
    pub atomics: u64,
    pub syscalls: u64,
}

impl Count {
    /// As figures of a cell.
    pub fn figures(self) -> Figures {
        Figures::from([
            ("instructions", self.instructions as f64),
            ("atomics", self.atomics as f64),
            ("syscalls", self.syscalls as f64),
        ])
    }
}

/// `int3`, which opens and closes the counted stretch.
const MARK: u8 = 0xCC;
/// Give up on operations longer than this.
const MOST: u64 = 200_000;

/// Counts one execution of `op`, warmed up, on what `make` builds, in a child process.
pub fn count<S>(make: impl FnOnce() -> S, op: impl Fn(&S)) -> Result<Count, Failure> {
    let child = Child::fork(|| {
        let object = make();
        // Lazily bound symbols, thread-local slots and first-time branches are not part of the path.
        for _ in 0..100 {
            op(&object);
        }
        // SAFETY: asks to be traced by the parent, then stops at two marks around the operation.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME);
            asm!("int3");
            op(&object);
            asm!("int3");
        }
    });
    let counted = follow(child.pid());
    // Detaching lets the child run into its end; the kill in `drop` is for one that does not.
    drop(child);
    counted
}

fn follow(pid: libc::pid_t) -> Result<Count, Failure> {
    wait_for_stop(pid)?;
    let mut count = Count::default();
    loop {
        let at = instruction_pointer(pid);
        let code = peek(pid, at);
        if code[0] == MARK {
            return Ok(count);
        }
        count.instructions += 1;
        count.atomics += u64::from(is_locked(code));
        count.syscalls += u64::from(code[..2] == [0x0F, 0x05]);
        if count.instructions > MOST {
            return Err(format!("more than {MOST} instructions"));
        }
        // SAFETY: the child is stopped and ours to trace.
        unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        wait_for_stop(pid)?;
    }
}

fn wait_for_stop(pid: libc::pid_t) -> Result<(), Failure> {
    let mut status = 0;
    // SAFETY: `status` is a valid place; the pid is our child's.
    let got = unsafe { libc::waitpid(pid, &mut status, 0) };
    if got == pid && libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP {
        Ok(())
    } else {
        Err(format!("the traced child ended or stopped otherwise (status {status:#x})"))
    }
}

fn instruction_pointer(pid: libc::pid_t) -> u64 {
    // SAFETY: the registers are plain numbers, and the call fills the whole struct.
    unsafe {
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &mut registers);
        registers.rip
    }
}

/// The eight bytes at an address of the child.
fn peek(pid: libc::pid_t, at: u64) -> [u8; 8] {
    // SAFETY: reads the child's memory, never ours; returns a word.
    unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, pid, at, 0) }.to_ne_bytes()
}

/// Whether an x86-64 instruction is an atomic read-modify-write.
fn is_locked(code: [u8; 8]) -> bool {
    let mut bytes = code.iter().copied().skip_while(|b| {
        matches!(
            b,
            0x66 | 0xF2 | 0xF3 | 0x2E | 0x36 | 0x3E | 0x26 | 0x64 | 0x65 | 0x67 | 0x40..=0x4F
        )
    });
    match (bytes.next(), bytes.next()) {
        (Some(0xF0), _) => true,
        // `xchg` locks by itself unless both operands are registers (mod = 3).
        (Some(0x86 | 0x87), Some(modrm)) => modrm >> 6 != 3,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, count, is_locked};
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn nothing_counts_nothing() {
        assert_eq!(count(|| (), |()| {}).unwrap(), Count::default());
    }

    #[test]
    fn a_swap_and_a_system_call_are_seen() {
        let swap = |word: &AtomicU32| {
            word.swap(1, Relaxed);
        };
        let swap = count(|| AtomicU32::new(0), swap).unwrap();
        assert_eq!((swap.atomics, swap.syscalls), (1, 0));
        let call = |(): &()| {
            // SAFETY: no memory is involved.
            unsafe { libc::getppid() };
        };
        let call = count(|| (), call).unwrap();
        assert_eq!((call.atomics, call.syscalls), (0, 1));
    }

    #[test]
    fn prefixes_are_read() {
        assert!(is_locked([0xF0, 0x0F, 0xB1, 0x0F, 0, 0, 0, 0]), "lock cmpxchg [rdi], ecx");
        assert!(is_locked([0x48, 0x87, 0x07, 0, 0, 0, 0, 0]), "xchg [rdi], rax");
        assert!(!is_locked([0x87, 0xC8, 0, 0, 0, 0, 0, 0]), "xchg eax, ecx");
        assert!(is_locked([0x41, 0x87, 0x07, 0, 0, 0, 0, 0]), "xchg [r15], eax");
    }
}
