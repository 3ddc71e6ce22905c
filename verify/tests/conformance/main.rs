//! One body per promise, run between threads and between processes from the same source.
//!
//! In scope `threads` the crew of a body are threads of this process. In scope `host` they are processes that were
//! started anew (`exec`), so that the segment is mapped at other addresses. Every body has its own `ANTIPHON_DIR`, which
//! must be empty at the end, and a watchdog.

mod barrier;
mod condvar;
mod copies;
mod crew;
mod dict;
mod event;
mod fork;
mod hostile;
mod job_queue;
mod list;
mod loans;
mod memory;
mod mutex;
mod once_and_latch;
mod once_value;
mod pipe;
mod queue;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
mod service;
mod spaces;
mod stock;
mod topic;
mod wait_group;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Duration;

use antiphon::process;
use antiphon_verify::scratch::Scratch;
use antiphon_verify::watchdog::Watchdog;

use crew::Crew;

type Body = fn(&Crew);

/// A promise.
struct Promise {
    name: &'static str,
    body: Body,
    /// Does it also make sense between threads?
    threads: bool,
}

macro_rules! promises {
    ($($module:ident { both: [$($both:ident)*], host: [$($host:ident)*] })*) => {
        &[$(
            $(Promise {
                name: concat!(stringify!($module), "::", stringify!($both)),
                body: $module::$both,
                threads: true,
            },)*
            $(Promise {
                name: concat!(stringify!($module), "::", stringify!($host)),
                body: $module::$host,
                threads: false,
            },)*
        )*]
    };
}

const PROMISES: &[Promise] = promises! {
    mutex {
        both: [excludes_others relocking_is_an_error timeouts_say_who_holds_it panics_poison_until_repaired
               tokens_only_grow it_excludes_without_a_record],
        host: [a_death_is_told_until_repaired leaving_with_it_is_told a_stopped_holder_is_alive
               a_sleeper_gets_it_when_the_holder_dies a_death_is_told_without_a_record]
    }
    reentrant_mutex {
        both: [its_holder_may_lock_again its_guards_share_a_cell],
        host: [a_death_is_told]
    }
    rwlock {
        both: [readers_share writers_exclude writers_do_not_starve downgrading_lets_readers_in
               of_two_that_upgrade_one_is_told],
        host: [dead_readers_are_let_go dead_writers_are_told a_death_is_told_though_its_finder_died]
    }
    semaphore {
        both: [permits_bound_who_is_inside a_bound_is_kept any_number_is_given_back timeouts_take_nothing
               signals_are_sent_by_anybody],
        host: [permits_come_back signals_do_not_come_back]
    }
    condvar {
        both: [notifications_wake timeouts_are_told],
        host: [a_dead_waiter_swallows_nothing]
    }
    event {
        both: [setting_releases_all setting_and_clearing_releases_all timeouts_are_told],
        host: [a_dead_setter_releases]
    }
    barrier {
        both: [indexes_are_given_once the_action_runs_before_anybody_goes_on timeouts_break_it aborting_breaks_it
               resetting_renews_it resets_without_number_leave_nobody_behind],
        host: [a_death_breaks_it]
    }
    once_and_latch {
        both: [a_once_runs_once a_once_may_be_tried_and_timed a_latch_opens],
        host: [a_dead_runner_is_replaced]
    }
    wait_group {
        both: [it_is_waited_for_until_empty],
        host: [shares_of_the_dead_come_back]
    }
    once_value {
        both: [a_value_is_written_once making_it_within_itself_is_an_error],
        host: [a_dead_maker_is_replaced]
    }
    queue {
        both: [items_come_in_order_and_once it_is_bounded batches_are_whole draining_gives_what_is_there
               immediate_shutdown_gives_nothing shutdown_wakes_sleepers bytes_of_any_length values_travel],
        host: [the_dead_do_not_take_it_along]
    }
    memory {
        both: [what_is_written_is_read atomics_are_shared it_grows an_array_has_its_lock],
        host: [nobodys_exit_takes_it no_room_is_told_with_the_numbers a_death_with_an_array_is_told]
    }
    dict {
        both: [it_is_what_a_map_is updates_exclude_each_other a_full_one_says_so its_lock_is_one],
        host: [a_death_in_an_update_changes_nothing nonsense_is_an_error]
    }
    list {
        both: [it_is_what_a_vector_is what_all_push_is_there_once a_full_one_says_so items_are_replaced_where_they_lie],
        host: [a_death_in_an_update_changes_nothing nonsense_is_an_error]
    }
    stock {
        both: [items_come_once they_are_bounded they_order_as_the_standard_library_does messages_of_any_length
               shutdown_is_seen_by_all],
        host: [the_dead_do_not_take_them_along nonsense_is_an_error]
    }
    loans {
        both: [messages_come_in_order_and_once dropping_changes_nothing it_is_bounded shutdown_is_seen_by_all],
        host: [the_dead_leave_no_block_behind a_child_gives_nothing_back nonsense_is_an_error]
    }
    topic {
        both: [every_subscriber_gets_what_it_asked_for publishers_share_it late_ones_get_the_last
               one_that_blocks_is_waited_for],
        host: [dead_subscribers_block_nobody dead_publishers_publish_nothing_half]
    }
    service {
        both: [each_call_gets_its_reply calls_that_are_given_up_disturb_nobody shutting_down_tells_callers],
        host: [the_death_of_a_worker_is_told another_worker_answers_for_the_dead dead_callers_leave_their_places]
    }
    pipe {
        both: [messages_of_any_length_go_both_ways it_is_bounded_and_timeouts_take_nothing the_last_to_close_ends_it
               a_close_ends_the_waits_of_the_other_end one_way_is_one_way handles_travel],
        host: [a_death_ends_it a_death_of_one_of_two_ends_nothing an_end_travels_to_a_child]
    }
    job_queue {
        both: [each_value_is_acknowledged_once the_oldest_comes_back_first batches_are_acknowledged_in_parts
               what_fails_too_often_is_put_aside draining_waits_for_what_was_taken],
        host: [what_the_dead_had_taken_comes_back]
    }
    spaces {
        both: [what_differs_is_refused names_are_checked two_at_once removed_names_begin_anew],
        host: [it_goes_with_its_last_user kept_ones_stay the_dead_are_swept nameless_ones_leave_nothing
               who_takes_part_is_listed there_is_a_limit objects_travel_to_children
               a_removed_space_is_whole_or_gone a_group_can_share]
    }
    fork {
        both: [],
        host: [a_child_is_itself_and_holds_nothing an_exec_is_a_death an_open_elsewhere_does_not_hang_the_child
               the_parent_may_leave_at_once a_child_can_watch]
    }
    copies {
        both: [],
        host: [both_take_part both_fork_and_die]
    }
    hostile {
        both: [],
        host: [files_that_are_none_of_ours_are_refused control_files_too directories_of_others_are_refused]
    }
};

fn main() -> ExitCode {
    // A panic that a body asks for is no news; one of a body is printed below.
    panic::set_hook(Box::new(|info| {
        let what = info.payload().downcast_ref::<String>();
        if !what.is_some_and(|what| what.starts_with(crew::ON_PURPOSE)) {
            eprintln!("{info}");
        }
    }));
    process::init();
    let filter: Vec<_> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (mut passed, mut failed, mut filtered) = (0, Vec::new(), 0);
    for promise in PROMISES {
        for host in [false, true] {
            if !host && !promise.threads {
                continue;
            }
            let name = format!("{} ({})", promise.name, if host { "host" } else { "threads" });
            if !filter.is_empty() && !filter.iter().any(|part| name.contains(part.as_str())) {
                filtered += 1;
                continue;
            }
            let good = run(promise.body, host, &name);
            println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
            if good { passed += 1 } else { failed.push(name) }
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored; 0 measured; {filtered} filtered out",
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(body: Body, host: bool, name: &str) -> bool {
    let _watchdog = Watchdog::start(name, Duration::from_secs(60));
    let scratch = Scratch::new();
    // SAFETY: the threads of earlier bodies have been joined, and the watchdog does not look at the environment.
    unsafe { scratch.enter() };
    let good = panic::catch_unwind(AssertUnwindSafe(|| body(&Crew::new(host, &scratch)))).is_ok();
    let left = scratch.names();
    if !left.is_empty() {
        eprintln!("{name}: {left:?} is left behind");
    }
    good && left.is_empty()
}
