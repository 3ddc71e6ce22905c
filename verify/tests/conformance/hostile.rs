//! Files and directories that are not what they should be get an error that says so.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use antiphon::Space;
use antiphon::error::SpaceError;
use antiphon::space::Lifetime;

use crate::crew::Crew;

/// What is done to a file that was good.
type Harm = (&'static str, fn(&Path));

const HARM: &[Harm] = &[
    ("empty", |path| fs::write(path, "").unwrap()),
    ("short", |path| fs::write(path, b"ANTIPHON").unwrap()),
    ("cut off", |path| {
        let length = fs::metadata(path).unwrap().len();
        OpenOptions::new().write(true).open(path).unwrap().set_len(length - 1).unwrap();
    }),
    ("too long", |path| {
        let length = fs::metadata(path).unwrap().len();
        OpenOptions::new().write(true).open(path).unwrap().set_len(length + 4096).unwrap();
    }),
    ("garbage", |path| {
        let length = fs::metadata(path).unwrap().len() as usize;
        fs::write(path, vec![0xa5; length]).unwrap();
    }),
    ("another version", |path| poke(path, 8, 99)),
    ("a damaged header", |path| poke(path, 40, 0x77)),
    ("open to others", |path| {
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    }),
    ("another user's", |path| {
        if chown(path, Some(12345), None).is_err() {
            // Only root can give files away; then another harm will do.
            fs::write(path, "").unwrap();
        }
    }),
    ("a link", |path| {
        fs::remove_file(path).unwrap();
        symlink("/etc/passwd", path).unwrap();
    }),
    ("a directory", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a pipe", |path| {
        fs::remove_file(path).unwrap();
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the path is a string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }),
];

fn poke(path: &Path, at: u64, byte: u8) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte]).unwrap();
}

/// Does the error name the file, and say what is wrong with it?
fn check<T: std::fmt::Debug>(what: &str, path: &Path, result: Result<T, SpaceError>) {
    let error = match result {
        Err(error) => error,
        Ok(opened) => panic!("{what}: {opened:?}"),
    };
    let told = matches!(
        error,
        SpaceError::Foreign { .. } | SpaceError::Insecure { .. } | SpaceError::System { .. }
    );
    assert!(told, "{what}: {error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{what}: {error}");
}

pub(crate) fn files_that_are_none_of_ours_are_refused(crew: &Crew<'_>) {
    let path = crew.directory().join("stage").join("mutex");
    for (what, harm) in HARM {
        let space = crew.space();
        drop(space.mutex("mutex", 0_u64).unwrap());
        harm(&path);
        check(what, &path, space.mutex("mutex", 0_u64));
        // Others are not hurt.
        assert!(space.mutex("another", 0_u64).is_ok());
        drop(space);
        let _ = fs::remove_dir_all(crew.directory().join("stage"));
    }
}

pub(crate) fn control_files_too(crew: &Crew<'_>) {
    let directory = crew.directory().join("kept");
    let path = directory.join(".control");
    for (what, harm) in HARM {
        drop(Space::builder("host:kept").lifetime(Lifetime::Kept).open().unwrap());
        harm(&path);
        check(what, &path, Space::open("host:kept"));
        // Another space opens all the same.
        drop(crew.space());
        fs::remove_dir_all(&directory).unwrap();
    }
}

pub(crate) fn directories_of_others_are_refused(crew: &Crew<'_>) {
    let path = crew.directory().join("stage");
    let harms: &[fn(&Path)] = &[
        |path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        },
        |path| symlink("/tmp", path).unwrap(),
        |path| fs::write(path, "a file").unwrap(),
    ];
    for harm in harms {
        harm(&path);
        check("a directory", &path, Space::open("host:stage"));
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
}
