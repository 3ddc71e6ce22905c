//! Opening a space with other than the usual settings.

use antiphon_place::{Error, MAX_PARTICIPANTS};

use super::inner::{Space, usual_label};

pub use antiphon_place::Lifetime;

/// Settings for opening a space; see [`Space::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) address: String,
    pub(super) participants: u32,
    pub(super) lifetime: Lifetime,
    pub(super) label: String,
    pub(super) watch: bool,
}

impl Builder {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            participants: 256,
            lifetime: Lifetime::default(),
            label: usual_label().to_owned(),
            watch: false,
        }
    }

    /// How many processes may take part at once, 1 to 1023; 256 unless told. Counts when the space is created, and costs 8 bytes
    /// a process in each semaphore and rwlock.
    #[must_use]
    pub fn participants(mut self, participants: u32) -> Self {
        self.participants = participants;
        self
    }

    /// How long the space stays; [`Lifetime::WithUsers`] unless told. Counts when the space is created.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// What this process calls itself in reports, up to 32 bytes. Unless told, what it was
    /// [called](crate::process::Builder::label) as a child, or else the name of its program.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        label.clone_into(&mut self.label);
        self
    }

    /// Shares the space with the processes of every user in this group (its number), instead of those of this user alone. The
    /// address gets `@GROUP` behind it, and that is how others open it as well. All members can write: they trust each other.
    ///
    /// Such spaces are in a directory of their own, `/dev/shm/antiphon-group-GROUP`, or what `ANTIPHON_DIR` says with
    /// `-group-GROUP` behind it.
    #[must_use]
    pub fn group(mut self, group: u32) -> Self {
        self.address = format!("{}@{group}", self.address);
        self
    }

    /// Starts the watcher, see [`Space::watch`].
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Opens the space, creating it if need be. Waits for others who are opening, leaving or removing it just now.
    ///
    /// # Errors
    /// [`Error::BadScope`], [`Error::BadName`], [`Error::BadParameter`]; for `host:` also [`Error::Insecure`],
    /// [`Error::Foreign`], [`Error::NoRoom`], [`Error::TooManyParticipants`], [`Error::System`].
    pub fn open(self) -> Result<Space, Error> {
        if !(1..=MAX_PARTICIPANTS).contains(&self.participants) {
            return Err(Error::BadParameter {
                what: "the number of participants",
                rule: format!("1 to {MAX_PARTICIPANTS}"),
                found: self.participants.to_string(),
            });
        }
        Space::open_with(self)
    }
}
