//! Says what distinguishes one way in from another. The file of each kind of invitation has its row.

use homeroom_kit::{random::Randomness, secret::SecretText};

/// The choice between admitting and queueing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admits {
    /// People are admitted at once (A1, B3).
    AtOnce,
    /// People are admitted at once while the code is unlocked, and queued once it is locked (C2, C5).
    QueueOnceLocked,
    /// People are always queued (C9).
    AlwaysQueue,
}

/// The properties of one kind of invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent columns of a table"
)]
pub struct Policy {
    /// The choice between admitting and queueing.
    pub admits: Admits,
    /// True if it entitles a person without an account to register as a Student (C13, X1).
    pub grants_sign_up: bool,
    /// True if a person who registered by other means can use it (C14, X1).
    pub survives_sign_up: bool,
    /// True if it may stand on a public page (C3).
    pub may_be_public: bool,
    /// True if it may have so few bits that guessing it is worth a try: during guessing it leads to the queue (R10).
    pub short: bool,
}

/// A typed text, as the kinds read it.
pub(super) struct Typed<'text> {
    /// Its letters and digits, in capitals.
    pub(super) letters: &'text str,
    /// The same if other separators than spaces and hyphens stand only between groups of four.
    pub(super) grouped: Option<&'text str>,
    /// The form of an enrollment code, if it can be one.
    pub(super) code: Option<&'text str>,
}

/// A kind of which a place has one, which is made on first use (AIP-156).
#[derive(Clone, Copy)]
pub struct Singleton {
    /// Returns a new secret, in canonical form.
    pub generate: fn(&dyn Randomness) -> SecretText,
    /// The name in the types of its events, before the point.
    pub event: &'static str,
}

/// A way in: one kind of invitation.
pub struct Way {
    /// Its properties.
    pub policy: Policy,
    /// The path segment before the secret in its URLs; `None` if it has no URL.
    pub letter: Option<&'static str>,
    /// Returns the canonical form of the last segment of a URL, if it can be one.
    pub(super) linked: fn(&str) -> Option<SecretText>,
    /// Returns the canonical form of a typed text, if it can be one.
    pub(super) typed: fn(&Typed<'_>) -> Option<SecretText>,
    /// Returns the form in which people are shown a stored secret; `None` if they are shown its URL.
    pub display: Option<fn(&SecretText) -> SecretText>,
    /// Says how it is made on first use; `None` for a kind of which a place has many.
    pub singleton: Option<Singleton>,
}
