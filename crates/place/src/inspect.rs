//! Looking at spaces and objects from outside: no attaching, nobody paused, nothing believed that is not checked.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use antiphon_core::owner::Owner;
use antiphon_sys::descriptor::{self, Access};
use antiphon_sys::directory;
use antiphon_sys::memory::Mapping;

use crate::control::{
    Control, ControlFixed, Participant, ParticipantInfo, State, generation, index,
};
use crate::directory::CONTROL;
use crate::error::Error;
use crate::header::{Fixed, Header, Kind};
use crate::name::check_name;
use crate::objects::read_fixed;
use crate::participant::LOCKS;
use crate::private::{Private, Sharing, refused};
use crate::record::{Counter, Death, Record};
use crate::site::SiteId;
use crate::waiters::WaiterInfo;

/// A space as seen from outside.
#[derive(Debug)]
pub struct SpaceInfo {
    /// Its name.
    pub name: String,
    /// Whether it stays without users.
    pub kept: bool,
    /// When it was created, in wall-clock nanoseconds.
    pub created: u64,
    /// Deaths confirmed in it so far.
    pub deaths: u32,
    /// Participants, with whether they live.
    pub participants: Vec<(ParticipantInfo, bool)>,
    /// Names of its objects.
    pub objects: Vec<String>,
    view: View,
}

/// An object as seen from outside.
#[derive(Debug)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The type of its value or items, empty where there is none.
    pub type_name: String,
    /// Capacity and the like, by kind.
    pub params: [u64; 4],
    /// Bytes it occupies.
    pub size: u64,
    /// When it was created, in wall-clock nanoseconds.
    pub created: u64,
    /// Who created it.
    pub creator: Option<Owner>,
    /// The creator's process id.
    pub creator_pid: u32,
    /// What the creator called itself.
    pub creator_label: String,
    /// Where in the source it was created.
    pub site: String,
    /// Those who wait.
    pub waiters: Vec<WaiterInfo>,
    /// The last death of an owner.
    pub last_death: Option<Death>,
    mapping: Mapping,
}

#[derive(Debug)]
struct View {
    mapping: Mapping,
    participants: u32,
}

impl View {
    fn control(&self) -> &Control {
        // SAFETY: the mapping is as long as `ControlFixed::check` demands; everything live may be any bytes.
        unsafe { self.mapping.base().cast().as_ref() }
    }

    fn slots(&self) -> &[Participant] {
        // SAFETY: as above; the lines follow the control structure.
        unsafe {
            let first = self.mapping.base().add(size_of::<Control>()).cast::<Participant>();
            std::slice::from_raw_parts(first.as_ptr(), self.participants as usize)
        }
    }
}

impl SpaceInfo {
    /// What is known of an owner; `None` when its slot has been taken by a later one.
    pub fn owner(&self, owner: Owner) -> Option<ParticipantInfo> {
        let slot = index(owner);
        let line = self.view.slots().get(slot as usize)?;
        (line.state().0 == generation(owner)).then(|| line.describe(slot))
    }

    /// Does this owner live?
    pub fn is_alive(&self, owner: Owner) -> bool {
        self.participants.iter().any(|(info, alive)| info.owner == owner && *alive)
    }

    /// The text of a call site.
    pub fn site(&self, site: SiteId) -> Option<String> {
        self.view.control().site(site)
    }
}

impl ObjectInfo {
    fn header(&self) -> &Header {
        // SAFETY: the mapping is as long as `Fixed::check` demands, at least a header (checked in `inspect_object`).
        unsafe { self.mapping.base().cast().as_ref() }
    }

    /// A counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.header().statistics.get(counter)
    }

    /// The histograms of waiting and holding; bucket `i` counts durations below `2^(i+8)` nanoseconds.
    pub fn histograms(&self) -> ([u32; 32], [u32; 32]) {
        self.header().statistics.histograms()
    }

    /// The record beside the ownership word, in those kinds that have one.
    pub fn record(&self) -> Option<&Record> {
        let body = self.body::<Record>(0)?;
        let kinds = [Kind::Mutex, Kind::ReentrantMutex, Kind::RwLock, Kind::Once];
        kinds.contains(&self.kind).then_some(body)
    }

    /// The body at `offset` seen as a `T`, if it is that long.
    ///
    /// `T` must be made of atomics: it may hold any bytes, and others change it. Sealed by the caller's good sense:
    /// only structures of antiphon's own layers are ever asked for.
    #[doc(hidden)]
    pub fn body<T>(&self, offset: usize) -> Option<&T> {
        let start = size_of::<Header>().checked_add(offset)?;
        let fits = start.checked_add(size_of::<T>())? <= self.mapping.len();
        // SAFETY: inside the mapping, and aligned as far as bodies are (128, checked here).
        (fits && offset.is_multiple_of(align_of::<T>()))
            .then(|| unsafe { self.mapping.base().add(start).cast::<T>().as_ref() })
    }
}

/// The space with this name, and the directory that it is in.
pub(crate) fn open(space: &str) -> Result<(Private, Private), Error> {
    let (name, sharing) = Sharing::of(space)?;
    let not_found = || Error::NotFound { what: "space", name: space.to_owned() };
    if !sharing.base().join(name).exists() {
        return Err(not_found());
    }
    let base = Private::existing_base(sharing)?;
    match base.existing(name) {
        Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(not_found())
        }
        space => Ok((base, space?)),
    }
}

fn map(path: &Path, file: impl AsFd, len: usize) -> Result<Mapping, Error> {
    Mapping::new(file, len, Access::Read).map_err(Error::system("map", path))
}

/// Looks at a space.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Foreign`], [`Error::Insecure`], [`Error::System`].
pub fn inspect_space(name: &str) -> Result<SpaceInfo, Error> {
    let (_, space) = open(name)?;
    let path = space.join(CONTROL);
    let file =
        space.dir.open_file(CONTROL, Access::ReadWrite).map_err(|e| refused("open", &path, e))?;
    let foreign = |why| Error::Foreign { path: path.clone(), why };
    let size = directory::stat(&file).map_err(Error::system("examine", &path))?.size;
    let fixed: ControlFixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    fixed.check(size).map_err(foreign)?;
    let view =
        View { mapping: map(&path, &file, size as usize)?, participants: fixed.participants() };
    let slots = view.slots().iter().enumerate();
    let participants = slots
        .filter(|(_, line)| line.state().1 != State::Free)
        .map(|(i, line)| {
            let alive = line.state().1 == State::Alive
                && descriptor::byte_is_locked(&file, LOCKS + i as u64).unwrap_or(true);
            (line.describe(i as u32), alive)
        })
        .collect();
    let mut objects = space.names()?;
    objects.retain(|name| check_name(name).is_ok());
    Ok(SpaceInfo {
        name: name.to_owned(),
        kept: fixed.kept(),
        created: fixed.created(),
        deaths: view.control().epoch().load(std::sync::atomic::Ordering::Relaxed),
        participants,
        objects,
        view,
    })
}

/// Looks at an object.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Foreign`], [`Error::Insecure`], [`Error::System`].
pub fn inspect_object(space: &str, name: &str) -> Result<ObjectInfo, Error> {
    check_name(name)?;
    let (_, space) = open(space)?;
    let path = space.join(name);
    let file = match space.dir.open_file(name, Access::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotFound { what: "object", name: name.to_owned() });
        }
        result => result.map_err(|e| refused("open", &path, e))?,
    };
    let foreign = |why| Error::Foreign { path: path.clone(), why };
    let size = directory::stat(&file).map_err(Error::system("examine", &path))?.size;
    let fixed: Fixed = read_fixed(file.as_fd()).ok_or_else(|| foreign("it is too short"))?;
    let kind = fixed.check(size).map_err(foreign)?;
    if (size as usize) < size_of::<Header>() {
        return Err(foreign("it is too short"));
    }
    let mapping = map(&path, &file, size as usize)?;
    let described = fixed.describe();
    let mut info = ObjectInfo {
        name: name.to_owned(),
        kind,
        type_name: described.type_name,
        params: described.params,
        size,
        created: described.created,
        creator: described.creator,
        creator_pid: described.creator_pid,
        creator_label: described.creator_label,
        site: described.site,
        waiters: Vec::new(),
        last_death: None,
        mapping,
    };
    info.waiters = info.header().waiters.list();
    info.last_death = info.header().statistics.last_death();
    Ok(info)
}
