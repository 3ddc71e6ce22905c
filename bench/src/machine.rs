//! What the figures were taken on, and with which versions of the peers.

use crate::cpu;
use serde::Serialize;
use std::fs;

/// The peers, as `Cargo.lock` names them.
const PEERS: [&str; 12] = [
    "async-lock",
    "crossbeam-channel",
    "crossfire",
    "flume",
    "iceoryx2",
    "ipc-channel",
    "kanal",
    "parking_lot",
    "tokio",
    "usync",
    "libc",
    "antiphon",
];

/// The machine and the software on it.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cpus: usize,
    pub memory_gib: u64,
    pub hypervisor: bool,
    pub kernel: String,
    pub libc: String,
    pub rustc: String,
    pub priority: String,
    pub load_before: String,
    pub peers: Vec<(String, String)>,
}

impl Machine {
    pub fn look(priority: String) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |key: &str| {
            let line = cpuinfo.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or("", |(_, v)| v).trim().to_owned()
        };
        let memory = read("/proc/meminfo");
        let kib = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0_u64);
        Self {
            cpu: format!(
                "{} (family {}, model {})",
                field("model name"),
                field("cpu family"),
                field("model\t")
            ),
            cpus: cpu::count(),
            memory_gib: kib.div_ceil(1 << 20),
            hypervisor: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            libc: libc_version(),
            rustc: env!("BENCH_RUSTC").to_owned(),
            priority,
            load_before: read("/proc/loadavg").trim().to_owned(),
            peers: PEERS.iter().map(|p| ((*p).to_owned(), locked_version(p))).collect(),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn libc_version() -> String {
    // SAFETY: returns a static C string.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

/// The versions of a package in the lock file this program was built with.
fn locked_version(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line == name {
            let version = lines.next().unwrap_or_default();
            found.push(version.trim_start_matches("version = ").trim_matches('"'));
        }
    }
    found.join(", ")
}
