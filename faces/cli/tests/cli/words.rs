use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Place, Running, eventually, signal};

/// What the command must say of these files, by the plainest count there is.
fn expected(files: &[Vec<u8>]) -> String {
    let mut counts = BTreeMap::<String, u64>::new();
    for file in files {
        let text = String::from_utf8_lossy(file);
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let (words, different) = (counts.values().sum::<u64>(), counts.len());
    let mut top: Vec<_> = counts.into_iter().collect();
    // Stable, so words as frequent stay in the order of their names.
    top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut said = "COUNT  WORD\n".to_owned();
    for (word, count) in top.iter().take(10) {
        said += &format!("{count:>5}  {word}\n");
    }
    said + &format!("\n{words} words in all, {different} different, in {} files\n", files.len())
}

/// Files of all sorts, in folders of folders.
fn write_files(root: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"One two, TWO; three three THREE".to_vec(),
        "Straße STRASSE 東京 x²y naïve NAÏVE".repeat(1000).into_bytes(),
        b"bad\xffbytes \xe6\x9d\xb1\xe4\xba cut \xf0\x9f\x8e".to_vec(),
        vec![0; 300_000],
        // A word that no message holds.
        [&b"short "[..], &[b'x'; 300_000], b" short"].concat(),
    ];
    // Tables that no message holds.
    for seed in [1_u64, 2] {
        files.push(
            (0..40_000).flat_map(|n| format!("w{} ", n * seed % 35_000).into_bytes()).collect(),
        );
    }
    for n in 0..200_u32 {
        files.push(format!("the {} of {n} {} the\n", n % 7, n % 3).repeat(20).into_bytes());
    }
    for (n, file) in files.iter().enumerate() {
        let folder = root.join(format!("{}/{}", n % 5, n % 3));
        fs::create_dir_all(&folder).unwrap();
        let mut name = match n % 4 {
            0 => OsStr::from_bytes(b"not \xff utf8").to_owned(),
            1 => ".hidden".into(),
            _ => "naïve name".into(),
        };
        name.push(n.to_string());
        fs::write(folder.join(name), file).unwrap();
    }
    files
}

#[test]
fn every_scope_and_any_number_of_workers_give_the_plain_answer() {
    let place = Place::new();
    let files = write_files(&place.files());
    // Links are not followed, so nothing is counted twice.
    symlink(place.files().join("0"), place.files().join("link")).unwrap();
    let expected = expected(&files);
    for scope in ["threads", "host"] {
        for workers in ["1", "2", "7"] {
            place
                .test()
                .args("demo words --scope")
                .arg(scope)
                .arg("--workers")
                .arg(workers)
                .arg(place.files())
                .stdout_begins(&expected)
                .success();
            place.assert_empty();
        }
    }
}

#[test]
fn paths_may_be_many_and_each_counts() {
    let place = Place::new();
    let paths: Vec<_> = (0..9).map(|n| place.files().join(n.to_string())).collect();
    let mut test = place.test().args("demo words");
    for path in &paths {
        fs::write(path, "one word").unwrap();
        test = test.arg(path);
    }
    test.arg(&paths[0]).stdout_line("20 words in all, 2 different, in 10 files").success();
}

#[test]
fn nothing_to_count_is_fine() {
    let place = Place::new();
    place
        .test()
        .args("demo words")
        .arg(place.files())
        .stdout_begins("0 words in all, 0 different, in 0 files\n")
        .success();
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_counted() {
    for scope in ["threads", "host"] {
        let place = Place::new();
        fs::write(place.files().join("good"), "good words").unwrap();
        symlink("nowhere", place.files().join("dangling")).unwrap();
        place
            .test()
            .args("demo words --scope")
            .arg(scope)
            .arg(place.files().join("good"))
            .arg(place.files().join("missing"))
            .arg(place.files().join("dangling"))
            // Can be opened, but not read.
            .arg("/proc/self/mem")
            .arg("/dev/null")
            .stdout_line("2 words in all, 2 different, in 1 files")
            .stdout_line("4 could not be read")
            .stderr_has("files/missing: No such file")
            .stderr_has("files/dangling: No such file")
            .stderr_has("/proc/self/mem: ")
            .stderr_has("/dev/null: it is neither a file nor a folder")
            .code(3);
        place.assert_empty();
    }
}

/// A job that does not end by itself: a file of zeros that takes hours to read and no room.
fn endless(scope: &str) -> Running {
    let place = Place::new();
    let file = fs::File::create(place.files().join("zeros")).unwrap();
    file.set_len(1 << 45).unwrap();
    let job =
        place.test().args("demo words --workers 3 --scope").arg(scope).arg(place.files()).start();
    if scope == "host" {
        let workers = || members(&job).iter().filter(|(who, _)| who.starts_with("worker")).count();
        eventually("all are at work", || (workers() == 3).then_some(()));
    } else {
        // The handler is set before the first thread starts.
        let tasks = || fs::read_dir(format!("/proc/{}/task", job.pid())).map_or(0, Iterator::count);
        eventually("all are at work", || (tasks() >= 5).then_some(()));
    }
    job
}

/// Labels and process ids of those in the job's space.
fn members(job: &Running) -> Vec<(String, u32)> {
    let space = format!("words-{}", job.pid());
    let said = job.place().test().args("ls --json").arg(space).start().any_end().stdout;
    let Ok(seen) = serde_json::from_str::<serde_json::Value>(&said) else { return Vec::new() };
    let processes = seen["processes"].as_array().unwrap().iter();
    processes
        .filter(|process| process["alive"] == true)
        .map(|process| {
            let who = process["who"].as_str().unwrap().to_owned();
            (who, u32::try_from(process["pid"].as_u64().unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn ctrl_c_stops_everybody() {
    for scope in ["threads", "host"] {
        let job = endless(scope);
        let place = job.place().clone();
        signal("INT", job.pid());
        let output = job.end(130);
        assert_eq!((&*output.stdout, &*output.stderr), ("", ""));
        place.assert_empty();
    }
}

#[test]
fn a_member_that_is_asked_to_end_stops_everybody() {
    let job = endless("host");
    let place = job.place().clone();
    let member = members(&job).into_iter().find(|(who, _)| who == "worker 2").unwrap();
    signal("TERM", member.1);
    job.end(130);
    place.assert_empty();
}

#[test]
fn a_worker_that_is_killed_is_named_and_no_wrong_answer_is_given() {
    let job = endless("host");
    let place = job.place().clone();
    let member = members(&job).into_iter().find(|(who, _)| who == "worker 2").unwrap();
    signal("KILL", member.1);
    let output = job.end(1);
    assert!(
        output.stderr.contains("worker 2") && output.stderr.contains("SIGKILL"),
        "{}",
        output.stderr
    );
    assert_eq!(output.stdout, "");
    place.assert_empty();
}

#[test]
fn workers_may_be_killed_at_their_work_and_the_answer_stays_right() {
    let place = Place::new();
    let files = write_files(&place.files());
    let output = place
        .test()
        .args("demo words --scope host --workers 4 --kill 5")
        .arg(place.files())
        .stdout_begins(&expected(&files))
        .success();
    let said = output.stdout.lines().last().unwrap();
    assert!(said.contains(" workers were killed while they counted a file; "), "{said}");
}

#[test]
fn threads_cannot_be_killed() {
    let place = Place::new();
    let output = place.test().args("demo words --scope threads --kill 1 .").code(1);
    assert!(output.stderr.contains("--kill needs --scope host"), "{}", output.stderr);
}

#[test]
fn nobody_outlives_a_leader_that_is_killed() {
    let job = endless("host");
    let place = job.place().clone();
    let members = members(&job);
    signal("KILL", job.pid());
    drop(job);
    for (who, pid) in members {
        let gone = || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(());
        eventually(&format!("{who} has gone"), gone);
    }
    place.assert_empty();
}

#[test]
fn the_members_can_be_seen_at_work() {
    let job = endless("host");
    let (place, space) = (job.place().clone(), format!("words-{}", job.pid()));
    let files = place.test().args("show").arg(format!("{space}/open-files")).json();
    assert_eq!(files["object"]["kind"], "semaphore");
    let seen = place.test().args("show").arg(format!("{space}/paths")).json();
    assert_eq!(seen["object"]["state"]["capacity"], 512);
    signal("INT", job.pid());
    job.end(130);
}

#[test]
fn more_workers_than_files_may_be_open() {
    let place = Place::new();
    let files = write_files(&place.files());
    place
        .test()
        .args("demo words --scope threads --workers 40")
        .arg(place.files())
        .stdout_begins(&expected(&files))
        .success();
}
