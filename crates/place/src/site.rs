//! Call sites: small numbers for `file:line`, kept in the control segment so that they outlive their process.

use std::mem::offset_of;
use std::panic::Location;
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use crate::layout::{fixed, text};

/// Sites that a space can name; later ones are reported as unknown.
pub(crate) const SITES: usize = 1024;
const TEXT_WORDS: usize = 11;

/// A call site of a space; 0 is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SiteId(pub u32);

#[derive(Debug)]
#[repr(C)]
struct Site {
    /// 1 once the text is complete. A process that dies before leaves an unused entry.
    ready: AtomicU64,
    text: [AtomicU64; TEXT_WORDS],
}

/// The table of sites of a space.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Sites {
    used: AtomicU32,
    _pad: [u32; 15],
    table: [Site; SITES],
}

const _: () = {
    assert!(size_of::<Sites>() == 64 + SITES * 96);
    assert!(offset_of!(Sites, used) == 0);
    assert!(offset_of!(Sites, table) == 64);
    assert!(offset_of!(Site, ready) == 0);
    assert!(offset_of!(Site, text) == 8);
};

impl Sites {
    /// The text of a site.
    pub(crate) fn resolve(&self, site: SiteId) -> Option<String> {
        let entry = self.table.get((site.0 as usize).checked_sub(1)?)?;
        (entry.ready.load(Acquire) != 0).then(|| entry.read())
    }

    /// Finds or adds a site. Linear in the number of sites, once per call site and process.
    pub(crate) fn intern(&self, location: &Location<'_>) -> SiteId {
        let wanted = format!("{}:{}", shorten(location.file()), location.line());
        let wanted = text(&fixed::<{ TEXT_WORDS * 8 }>(&wanted));
        let used = (self.used.load(Acquire) as usize).min(SITES);
        for (i, entry) in self.table[..used].iter().enumerate() {
            if entry.ready.load(Acquire) != 0 && entry.read() == wanted {
                return SiteId(i as u32 + 1);
            }
        }
        // Two processes may add the same site twice: a wasted entry, not an error.
        let i = self.used.fetch_add(1, Relaxed) as usize;
        let Some(entry) = self.table.get(i) else {
            self.used.store(SITES as u32, Relaxed);
            return SiteId(0);
        };
        entry.write(&wanted);
        SiteId(i as u32 + 1)
    }
}

impl Site {
    fn read(&self) -> String {
        let words: [u64; TEXT_WORDS] = std::array::from_fn(|i| self.text[i].load(Relaxed));
        text(words.map(u64::to_le_bytes).as_flattened())
    }

    fn write(&self, wanted: &str) {
        let bytes = fixed::<{ TEXT_WORDS * 8 }>(wanted);
        for (word, chunk) in self.text.iter().zip(bytes.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*chunk), Relaxed);
        }
        // Publishes the text to `resolve`.
        self.ready.store(1, Release);
    }
}

/// The last three parts of a path say enough.
fn shorten(path: &str) -> &str {
    match path.rmatch_indices('/').nth(2) {
        Some((i, _)) => &path[i + 1..],
        None => path,
    }
}

/// A process-local cache from the address of a [`Location`] to its number in one space: one load when it hits.
///
/// An entry is `address / 8 << SITE_BITS | site` in one word, so it is never half written; zero is empty.
#[derive(Debug)]
pub(crate) struct SiteCache {
    entries: [AtomicU64; CACHED],
}

const CACHED: usize = 256;
const SITE_BITS: u32 = 11;
/// How many entries one address may be in: call sites that meet must not drive each other out at every call.
const WAYS: usize = 16;
const _: () = assert!(SITES < 1 << SITE_BITS && align_of::<Location<'static>>() >= 8);

impl SiteCache {
    pub(crate) fn new() -> Self {
        Self { entries: [const { AtomicU64::new(0) }; CACHED] }
    }

    #[inline]
    pub(crate) fn get(&self, sites: &Sites, location: &'static Location<'static>) -> SiteId {
        let key = (std::ptr::from_ref(location).addr() as u64) >> 3 << SITE_BITS;
        match Self::hit(self.entry(key, 0).load(Relaxed), key) {
            Some(site) => site,
            None => self.search(sites, location, key),
        }
    }

    #[cold]
    fn search(&self, sites: &Sites, location: &Location<'_>, key: u64) -> SiteId {
        let mut free = self.entry(key, 0);
        for way in 0..WAYS {
            let entry = self.entry(key, way);
            let word = entry.load(Relaxed);
            if let Some(site) = Self::hit(word, key) {
                return site;
            }
            if word == 0 {
                free = entry;
                break;
            }
        }
        let site = sites.intern(location);
        free.store(key | u64::from(site.0), Relaxed);
        site
    }

    #[inline]
    fn entry(&self, key: u64, way: usize) -> &AtomicU64 {
        &self.entries[((key >> SITE_BITS) as usize + way) % CACHED]
    }

    #[inline]
    fn hit(word: u64, key: u64) -> Option<SiteId> {
        let site = word ^ key;
        (site < 1 << SITE_BITS).then_some(SiteId(site as u32))
    }
}
