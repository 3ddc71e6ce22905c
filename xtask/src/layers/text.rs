//! What the text of each layer may contain.

use super::source::File;

/// The primitives' names: the files that a `sync/` folder may have, in every layer.
const SYNC: &[&str] = &[
    "mutex",
    "reentrant_mutex",
    "rwlock",
    "semaphore",
    "condvar",
    "event",
    "barrier",
    "once",
    "once_lock",
    "once_value",
    "lazy_lock",
    "latch",
    "wait_group",
];
/// The same for `comm/`.
const COMM: &[&str] = &[
    "queue",
    "byte_queue",
    "message_queue",
    "channel",
    "pipe",
    "topic",
    "service",
    "select",
    "memory",
    "message",
    "array",
    "byte_dict",
    "byte_list",
    "dict",
    "list",
    "shareable_list",
    "lifo_queue",
    "priority_queue",
    "loan_queue",
    "job_queue",
];
/// What primitives are put together from: files of one layer, which name no primitive.
const PARTS: &[&str] = &[
    "field",
    "gate",
    "ring",
    "spsc",
    "words",
    "slots",
    "shelf",
    "stock",
    "order",
    "loans",
    "bytes",
    "copy",
    "records",
    "lock",
    "cursor",
    "turn",
    "ahead",
    "lease",
    "slip",
    "broadcast",
    "store",
    "watch",
    "code",
    "keep",
    "outcome",
    "priority",
    "rest",
    "since",
    "side",
];
/// Files that any folder may have.
const COMMON: &[&str] = &["mod", "main"];

const LONG: usize = 400;

/// A pattern in code, and where it may stand.
struct Rule {
    pattern: fn(&str) -> bool,
    /// Folders or files that the rule looks at.
    within: &'static [&'static str],
    /// Folders or files that it does not.
    except: &'static [&'static str],
    says: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        pattern: |line| has_path(line, "std") || has_path(line, "alloc"),
        within: &["crates/core/src/"],
        except: &["crates/core/src/model", "crates/core/src/primitive.rs"],
        says: "core does without std and alloc",
    },
    Rule {
        pattern: |line| {
            line.contains("cfg") && (has_word(line, "loom") || has_word(line, "shuttle"))
        },
        within: &["crates/", "faces/"],
        except: &["crates/core/"],
        says: "only core knows the model checkers",
    },
    Rule {
        pattern: |line| line.contains("cfg") && has_word(line, "target_os"),
        within: &["crates/", "faces/"],
        except: &["crates/sys/"],
        says: "only sys knows the operating system",
    },
    Rule {
        pattern: |line| has_path(line, "libc"),
        within: &["crates/", "faces/"],
        // The sanitizer knows the system's threads better than those of a library that it does not watch.
        except: &["crates/sys/", "crates/antiphon/tests/heap/crew.rs"],
        says: "only sys makes system calls",
    },
    Rule {
        pattern: |line| has_path(line, "antiphon_core") || has_path(line, "antiphon_sys"),
        within: &["faces/"],
        except: &[],
        says: "faces reach no deeper than antiphon",
    },
    Rule {
        pattern: |line| line.contains(concat!("dbg", "!(")) || line.contains(concat!("todo", "!(")),
        within: &[""],
        except: &[],
        says: "a leftover of debugging",
    },
];

/// Words that mark unfinished work, in code and comments alike.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Every line that breaks a rule, and every primitive's file with a name of its own.
pub(super) fn check(files: &[File]) -> Vec<String> {
    files.iter().flat_map(|file| code(file).chain(words(file)).chain(name(file))).collect()
}

/// Files that ask to be split.
pub(super) fn long_files(files: &[File]) -> Vec<String> {
    let lines = |file: &File| file.text.lines().count();
    let long = files.iter().filter(|file| !file.code.is_empty() && lines(file) > LONG);
    long.map(|file| format!("{}: {} lines; split it", file.path, lines(file))).collect()
}

fn code(file: &File) -> impl Iterator<Item = String> {
    let begins = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
    let rules = RULES.iter().filter(move |rule| begins(rule.within) && !begins(rule.except));
    rules.flat_map(move |rule| {
        let lines = file.code.lines().enumerate().filter(|(_, line)| (rule.pattern)(line));
        lines.map(|(n, _)| format!("{}:{}: {}", file.path, n + 1, rule.says))
    })
}

fn words(file: &File) -> impl Iterator<Item = String> {
    let unfinished = |line: &str| UNFINISHED.iter().any(|word| has_word(line, word));
    let lines = file.text.lines().enumerate().filter(move |(_, line)| unfinished(line));
    lines.map(|(n, _)| format!("{}:{}: unfinished work", file.path, n + 1))
}

fn name(file: &File) -> Option<String> {
    let path = file.path.strip_suffix(".rs").or_else(|| file.path.strip_suffix(".py"))?;
    let is_layer = path.starts_with("crates/") || path.starts_with("faces/");
    let (folder, stem) = path.rsplit_once('/').filter(|_| is_layer)?;
    let known = match folder.rsplit_once('/')?.1 {
        "sync" => SYNC,
        "comm" => COMM,
        _ => return None,
    };
    let is_part = path.starts_with("crates/") && PARTS.contains(&stem);
    let fits = known.contains(&stem) || COMMON.contains(&stem) || is_part;
    (!fits).then(|| format!("{}: not a name of xtask/src/layers/text.rs", file.path))
}

/// Whether `line` uses the crate `name`: as the head of a path, or imported whole.
fn has_path(line: &str, name: &str) -> bool {
    positions(line, name).any(|at| {
        line[at + name.len()..].starts_with("::") || line[..at].trim_end().ends_with("extern crate")
    })
}

fn has_word(line: &str, word: &str) -> bool {
    positions(line, word).next().is_some()
}

/// Where `word` stands in `line` with no letter, digit or underscore beside it.
fn positions<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::{File, check, has_path};

    fn findings(path: &str, code: &str) -> usize {
        check(&[File { path: path.into(), text: code.into(), code: code.into() }]).len()
    }

    #[test]
    fn paths_are_whole_words() {
        assert!(has_path("use std::fs;", "std"));
        assert!(has_path("extern crate alloc;", "alloc"));
        assert!(!has_path("use my_std::fs;", "std"));
        assert!(!has_path("let std = 1;", "std"));
    }

    #[test]
    fn each_layer_keeps_to_its_own() {
        assert_eq!(findings("crates/core/src/sync/mutex.rs", "use std::fs;"), 1);
        assert_eq!(findings("crates/place/src/segment.rs", "libc::mmap();"), 1);
        assert_eq!(findings("crates/sys/src/memory.rs", "libc::mmap();"), 0);
        assert_eq!(findings("crates/antiphon/src/lib.rs", "#[cfg(not(loom))]"), 1);
        assert_eq!(findings("faces/cli/src/main.rs", "use antiphon_core::owner;"), 1);
    }

    #[test]
    fn a_primitive_has_one_name_in_every_layer() {
        assert_eq!(findings("crates/antiphon/src/sync/mutex.rs", ""), 0);
        assert_eq!(findings("crates/antiphon/src/sync/padlock.rs", ""), 1);
    }
}
