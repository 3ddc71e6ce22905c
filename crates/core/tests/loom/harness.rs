//! Runs models, counts their executions, and fails when suspiciously few were explored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use antiphon_core::model::Model;
use loom::cell::UnsafeCell;
use loom::thread;

/// Explores `model` with up to 2 preemptions; fails under `floor` executions.
pub(crate) fn check(name: &str, floor: usize, model: impl Fn() + Send + Sync + 'static) {
    check_to(2, name, floor, model);
}

/// [`check`] with another bound on preemptions (3 suits small models).
pub(crate) fn check_to(
    preemptions: usize,
    name: &str,
    floor: usize,
    model: impl Fn() + Send + Sync + 'static,
) {
    let count = explore(preemptions, model);
    report(name, count, floor);
}

/// Explores `model(step)` for step 0, 1, … until the victim lives to its end in every execution. The model returns
/// whether its victim died (`Kernel::victim` gave `None`). Counts the executions of all steps together.
pub(crate) fn check_deaths(
    name: &str,
    floor: usize,
    model: impl Fn(u32) -> bool + Send + Sync + 'static,
) {
    check_deaths_to(2, name, floor, model);
}

/// [`check_deaths`] with another bound on preemptions (1 suits large models).
pub(crate) fn check_deaths_to(
    preemptions: usize,
    name: &str,
    floor: usize,
    model: impl Fn(u32) -> bool + Send + Sync + 'static,
) {
    let model = Arc::new(model);
    let mut count = 0;
    for step in 0.. {
        let deaths = Arc::new(AtomicU32::new(0));
        let (model, seen) = (model.clone(), deaths.clone());
        count += explore(preemptions, move || {
            if model(step) {
                seen.fetch_add(1, Relaxed);
            }
        });
        if deaths.load(Relaxed) == 0 {
            println!("model {name}: {step} points of death");
            break;
        }
    }
    report(name, count, floor);
}

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(10_000);
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    builder.check(move || {
        counter.fetch_add(1, Relaxed);
        model();
    });
    count.load(Relaxed)
}

fn report(name: &str, count: usize, floor: usize) {
    println!("model {name}: {count} executions");
    assert!(count >= floor, "model {name}: {count} executions, under the floor of {floor}");
}

/// A value that loom watches: two accesses that nothing orders fail the model.
pub(crate) struct Watched(UnsafeCell<usize>);

// SAFETY: loom checks every access to the cell, which is what the models are for.
unsafe impl Sync for Watched {}

impl Watched {
    pub(crate) fn new(value: usize) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Adds one, in two steps.
    pub(crate) fn bump(&self) {
        // SAFETY: loom fails the model when another access is not ordered with this one.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    pub(crate) fn get(&self) -> usize {
        // SAFETY: as in `bump`.
        self.0.with(|value| unsafe { *value })
    }
}

/// Values in an order that does not depend on who took them.
pub(crate) fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values
}

/// Runs `life` in a thread of its own with its own view of the kernel.
pub(crate) fn party<Q: Send + Sync + 'static, T: 'static>(
    queue: &Arc<Q>,
    w: Model<false>,
    life: impl FnOnce(&Q, &Model<false>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let queue = queue.clone();
    thread::spawn(move || life(&queue, &w))
}
