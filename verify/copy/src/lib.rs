//! The library a second time, as a shared object with statics, thread-locals and fork handlers of its own: what a Rust
//! program meets that loads a Python extension which contains the library too.
//!
//! Each function works on the mutex `value` and the queue `items` of the space that is found by name, as any program would.

use std::ffi::{CStr, c_char};
use std::mem::forget;

use antiphon::Space;
use antiphon::error::{LockError, TryLockError};
use antiphon::space::Mutex;

/// What went as it should.
const GOOD: i32 = 0;
/// What did not.
const BAD: i32 = 1;
/// Somebody else holds it.
const HELD: i32 = 2;
/// Whoever held it has died.
const DIED: i32 = 3;

fn value(space: *const c_char) -> Option<(Space, Mutex<u64>)> {
    // SAFETY: the functions below ask their callers for a string that ends with a zero byte.
    let name = unsafe { CStr::from_ptr(space) }.to_str().ok()?;
    let space = Space::open(name).ok()?;
    let value = space.mutex("value", 0).ok()?;
    Some((space, value))
}

/// Adds 1 to the value so many times.
///
/// # Safety
/// `space` points to a string that ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antiphon_copy_add(space: *const c_char, times: u64) -> i32 {
    let Some((_space, value)) = value(space) else { return BAD };
    for _ in 0..times {
        match value.lock() {
            Ok(mut value) => *value += 1,
            Err(_) => return BAD,
        }
    }
    GOOD
}

/// Tries to lock the value: `GOOD` if it could, `HELD` or `DIED`.
///
/// # Safety
/// As [`antiphon_copy_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antiphon_copy_try(space: *const c_char) -> i32 {
    let Some((_space, value)) = value(space) else { return BAD };
    match value.try_lock() {
        Ok(_) => GOOD,
        Err(TryLockError::WouldBlock) => HELD,
        Err(TryLockError::OwnerDied(..)) => DIED,
        Err(_) => BAD,
    }
}

/// Takes part in the space for the rest of the process.
///
/// # Safety
/// As [`antiphon_copy_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antiphon_copy_attach(space: *const c_char) -> i32 {
    let Some(handles) = value(space) else { return BAD };
    forget(handles);
    GOOD
}

/// Locks the value, also after a death, which it repairs, and keeps it for the rest of the process.
///
/// # Safety
/// As [`antiphon_copy_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antiphon_copy_keep(space: *const c_char) -> i32 {
    let Some((space, value)) = value(space) else { return BAD };
    let done = match value.lock() {
        Ok(guard) => {
            forget(guard);
            GOOD
        }
        Err(LockError::OwnerDied(mut guard, _)) => {
            guard.repair();
            forget(guard);
            DIED
        }
        Err(_) => BAD,
    };
    forget((space, value));
    done
}

/// Takes so many items from the queue and adds them up.
///
/// # Safety
/// As [`antiphon_copy_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antiphon_copy_sum(space: *const c_char, items: u64) -> u64 {
    let Some((space, _)) = value(space) else { return 0 };
    let Ok(queue) = space.queue::<u64>("items", 16) else { return 0 };
    (0..items).map_while(|_| queue.get().ok()).sum()
}
