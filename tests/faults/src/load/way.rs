//! One invitation: its current secret and its former ones.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use homeroom_tests::{Clients, dice::Dice};
use serde_json::{Value, json};

use crate::history::SecretId;

/// The bound of a class token's uses.
const TOKEN_USES_MAX: i64 = 20;
/// The bound of an enrollment code's uses.
const ENROLLMENT_CODE_USES_MAX: i64 = 60;
/// The number of former secrets that are still tried, the latest ones.
const OLD_SECRETS_KEPT: usize = 8;

/// The kind of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InviteToken,
    Token,
    EnrollmentCode,
    ClassCode,
    JoinUrl,
}

impl Kind {
    /// The invitations to each class.
    pub(crate) const OF_CLASSES: [Self; 5] = [
        Self::ClassCode,
        Self::JoinUrl,
        Self::Token,
        Self::Token,
        Self::EnrollmentCode,
    ];

    /// Returns the method and the request that make or get an invitation of few uses.
    pub(crate) fn made(self, place: &str, dice: &Dice) -> (&'static str, Value) {
        match self {
            Self::InviteToken => (
                "TokenService.GetInviteToken",
                json!({"name": format!("{place}/inviteToken")}),
            ),
            Self::ClassCode => (
                "ClassCodeService.GetClassCode",
                json!({"name": format!("{place}/classCode")}),
            ),
            Self::JoinUrl => (
                "JoinUrlService.GetJoinUrl",
                json!({"name": format!("{place}/joinUrl")}),
            ),
            Self::Token => {
                let token = json!({"max_uses": dice.between(1, TOKEN_USES_MAX)});
                (
                    "TokenService.CreateToken",
                    json!({"parent": place, "token": token}),
                )
            }
            Self::EnrollmentCode => {
                let uses = dice.between(1, ENROLLMENT_CODE_USES_MAX);
                let code = json!({"code": dice.word(14), "max_uses": uses});
                let body =
                    json!({"parent": place, "enrollment_code": code, "acknowledge_weak": true});
                ("EnrollmentCodeService.CreateEnrollmentCode", body)
            }
        }
    }

    /// Returns the field of the secret.
    const fn secret(self) -> &'static str {
        match self {
            Self::InviteToken => "token",
            Self::Token => "phrase",
            Self::EnrollmentCode => "fullCode",
            Self::ClassCode => "code",
            Self::JoinUrl => "url",
        }
    }
}

/// A secret and its identity in the history.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) id: SecretId,
    pub(crate) text: String,
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
    secrets: Mutex<Secrets>,
}

impl Way {
    /// Makes an invitation, or gets the one that exists.
    pub(crate) async fn open(kind: Kind, place: &str, staff: &Clients, dice: &Dice) -> Self {
        let (method, body) = kind.made(place, dice);
        let made = staff.call(method, &body).await;
        let way = Self {
            kind,
            place: place.to_owned(),
            secrets: Mutex::default(),
        };
        way.renew(&made.unwrap());
        way
    }

    pub(crate) fn is_of_class(&self) -> bool {
        self.place.contains("/classes/")
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
        dice.pick_from(&self.secrets.lock().unwrap().old).cloned()
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
    pub(crate) fn reopen(&self, secret: Secret) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.old.retain(|old| old.id != secret.id);
        secrets.current = Some(secret);
    }

    /// Records the invitation as it was answered, with a new secret.
    pub(crate) fn renew(&self, answer: &Value) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let text = |field| answer[field].as_str().unwrap_or_default().to_owned();
        // The answer to a retry may lack the secret, if it was replaced meanwhile.
        if !text(self.kind.secret()).is_empty() {
            let mut secrets = self.secrets.lock().unwrap();
            secrets.name = text("name");
            secrets.current = Some(Secret {
                id: SecretId(NEXT.fetch_add(1, Ordering::Relaxed)),
                text: text(self.kind.secret()),
            });
        }
    }
}
