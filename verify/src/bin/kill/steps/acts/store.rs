//! Changing a dict and a list.

use antiphon::space::{ByteDict, ByteList};

use super::super::{Act, Ward};
use super::keep;

fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn count(dict: &ByteDict) {
    let mut guard = dict.lock().expect("a lock");
    let next = number(guard.get(b"count").expect("no nonsense")) + 1;
    guard.insert(b"count", &next.to_le_bytes()).expect("room");
}

/// How often it was counted; and nothing else is there, nothing is lost.
fn check_dict(ward: &Ward, dict: &ByteDict) -> Result<u32, String> {
    let said = |error: &dyn std::fmt::Display| format!("{error}");
    let mut guard = dict.lock_timeout(ward.patience.get()).map_err(|e| said(&e))?;
    let entries = guard.entries().map_err(|e| said(&e))?;
    if entries.len() != guard.len() {
        return Err(format!("lost: {} entries that are said to be {}", entries.len(), guard.len()));
    }
    let counted = number(guard.get(b"count").map_err(|e| said(&e))?);
    guard.clear().map_err(|e| said(&e))?;
    drop(guard);
    if dict.used() != 0 {
        return Err(format!("lost: {} bytes that nothing is in", dict.used()));
    }
    Ok(counted as u32)
}

fn check_list(
    ward: &Ward,
    list: &ByteList,
    states: &'static [&'static [u8]],
) -> Result<u32, String> {
    let said = |error: &dyn std::fmt::Display| format!("{error}");
    let mut guard = list.lock_timeout(ward.patience.get()).map_err(|e| said(&e))?;
    let items = guard.items().map_err(|e| said(&e))?;
    let found: Vec<u8> = items.iter().map(|item| item[0]).collect();
    if items.iter().any(|item| item.len() != 40 || item.iter().any(|b| *b != item[0])) {
        return Err(format!("torn: {items:?}"));
    }
    while guard.pop().map_err(|e| said(&e))?.is_some() {}
    drop(guard);
    if list.used() != 0 {
        return Err(format!("lost: {} bytes that nothing is in", list.used()));
    }
    let effect = states.iter().position(|state| *state == found);
    effect.map(|n| n as u32).ok_or_else(|| format!("torn: the items are {found:?}"))
}

fn dict_acts(ward: &Ward) -> Vec<Act> {
    let dict = keep(ward.space.byte_dict("dict", 1 << 10).expect("a dict"));
    count(dict);
    let _ = check_dict(ward, dict);
    let checked = || {
        let ward = ward.clone();
        move |_| check_dict(&ward, dict)
    };
    let perish = {
        let ward = ward.clone();
        move || {
            ward.perish(|| {
                let mut guard = dict.lock().expect("a lock");
                guard.insert(b"left", &[7; 50]).expect("room");
                std::mem::forget(guard);
            });
        }
    };
    let removed = {
        let checked = checked();
        move |deaths| checked(deaths).map(|there| 1 - there)
    };
    vec![
        Act::new("dict: insert", move |_| count(dict), checked()).twice(),
        Act::new("dict: replace", move |_| count(dict), {
            let checked = checked();
            move |deaths| checked(deaths).map(|counted| counted - 1)
        })
        .prepare(move || count(dict))
        .twice(),
        Act::new("dict: remove", move |_| drop(dict.remove(b"count")), removed)
            .prepare(move || count(dict)),
        Act::new("dict: recover, insert", move |_| count(dict), checked())
            .varies()
            .prepare(perish)
            .twice(),
    ]
}

fn list_acts(ward: &Ward) -> Vec<Act> {
    let list = keep(ward.space.byte_list("list", 1 << 10).expect("a list"));
    let fill = move || [1, 2].iter().for_each(|n| list.push(&[*n; 40]).expect("room"));
    fill();
    let checked = |states: &'static [&'static [u8]]| {
        let ward = ward.clone();
        move |_| check_list(&ward, list, states)
    };
    let _ = check_list(ward, list, &[&[1, 2]]);
    let perish = {
        let ward = ward.clone();
        move || {
            fill();
            ward.perish(|| std::mem::forget(list.lock().expect("a lock")));
        }
    };
    vec![
        Act::new(
            "list: push",
            move |_| list.push(&[3; 40]).expect("room"),
            checked(&[&[1, 2], &[1, 2, 3]]),
        )
        .prepare(fill),
        Act::new(
            "list: replace",
            move |_| list.set(0, &[3; 40]).expect("room"),
            checked(&[&[1, 2], &[3, 2]]),
        )
        .prepare(fill),
        Act::new(
            "list: insert",
            move |_| list.insert(0, &[3; 40]).expect("room"),
            checked(&[&[1, 2], &[3, 1, 2]]),
        )
        .prepare(fill),
        Act::new("list: remove", move |_| drop(list.remove(0)), checked(&[&[1, 2], &[2]]))
            .prepare(fill),
        Act::new(
            "list: recover, push",
            move |_| list.push(&[3; 40]).expect("room"),
            checked(&[&[1, 2], &[1, 2, 3]]),
        )
        .varies()
        .prepare(perish),
    ]
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let mut acts = dict_acts(ward);
    acts.extend(list_acts(ward));
    acts
}
