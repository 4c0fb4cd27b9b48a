//! One invitation: its current secret and its former ones.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::{dice::Dice, history::SecretId};

/// The kind of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InviteToken,
    Token,
    EnrollmentCode,
    ClassCode,
    JoinUrl,
}

/// A secret and its identity in the history.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) id: SecretId,
    pub(crate) text: String,
}

impl Secret {
    /// Returns a secret that was just created.
    pub(crate) fn new(text: String) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: SecretId(NEXT.fetch_add(1, Ordering::Relaxed)),
            text,
        }
    }
}

#[derive(Debug, Default)]
struct Secrets {
    /// The invitation's resource name.
    name: String,
    /// The current secret; `None` while the invitation is closed or its state is unknown.
    current: Option<Secret>,
    old: Vec<Secret>,
}

/// An invitation to a class or an organization.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) kind: Kind,
    /// The organization's or the class's resource name.
    pub(crate) place: String,
    /// The class's resource name; empty for the organization's own invitation.
    pub(crate) class: String,
    secrets: Mutex<Secrets>,
}

/// The number of former secrets that are still tried, the latest ones.
const OLD_SECRETS_KEPT: usize = 8;

impl Way {
    pub(crate) fn new(kind: Kind, place: &str, name: String, text: String) -> Self {
        let class = if place.contains("/classes/") {
            place
        } else {
            ""
        };
        Self {
            kind,
            place: place.to_owned(),
            class: class.to_owned(),
            secrets: Mutex::new(Secrets {
                name,
                current: Some(Secret::new(text)),
                old: Vec::new(),
            }),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.secrets.lock().unwrap().name.clone()
    }

    /// Returns the secret that works now.
    pub(crate) fn current(&self) -> Option<Secret> {
        self.secrets.lock().unwrap().current.clone()
    }

    /// Returns a former secret.
    pub(crate) fn old(&self, dice: &Dice) -> Option<Secret> {
        let secrets = self.secrets.lock().unwrap();
        (!secrets.old.is_empty()).then(|| dice.pick(&secrets.old).clone())
    }

    /// Marks the invitation as closing: its secret is a former one from now on.
    pub(crate) fn close(&self) -> Option<Secret> {
        let mut secrets = self.secrets.lock().unwrap();
        let closed = secrets.current.take()?;
        secrets.old.push(closed.clone());
        if secrets.old.len() > OLD_SECRETS_KEPT {
            secrets.old.remove(0);
        }
        Some(closed)
    }

    /// Marks the invitation as open again by this secret.
    pub(crate) fn open(&self, secret: Secret) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.old.retain(|old| old.id != secret.id);
        secrets.current = Some(secret);
    }

    /// Puts another invitation in its place.
    pub(crate) fn replace(&self, name: String, text: String) {
        self.secrets.lock().unwrap().name = name;
        self.open(Secret::new(text));
    }
}
