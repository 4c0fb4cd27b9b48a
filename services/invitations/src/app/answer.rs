//! Answers about invitations. They are made without secrets, which is how they are stored for retries; the secrets are
//! filled in last.

use chrono::{DateTime, Utc};
use homeroom_api::names::InvitationName;
use homeroom_kit::Result;

use super::{App, urls::HandedOut};
use crate::store::InvitationRow;

/// An invitation as staff see it.
pub struct Shown {
    /// The row.
    pub row: InvitationRow,
    /// The prefix of the organization's enrollment codes, which is not secret.
    pub code_prefix: String,
    /// The time at which it is seen.
    pub now: DateTime<Utc>,
    /// The secret, if it is shown and not destroyed.
    pub secret: Option<HandedOut>,
}

/// The answer to a change that results in a `D` and the invitations concerned.
pub trait Answer<D>: prost::Message + Default + 'static {
    /// Returns the answer without secrets.
    fn of(done: D, invitations: Vec<Shown>) -> Self;

    /// Fills in the secret of one of its invitations.
    fn fill(&mut self, invitation: &InvitationName, secret: HandedOut);
}

/// A deleted resource has nothing to show.
impl Answer<()> for () {
    fn of((): (), _: Vec<Shown>) {}

    fn fill(&mut self, _: &InvitationName, _: HandedOut) {}
}

impl App {
    /// Returns the invitation without its secret.
    pub(super) fn masked(&self, row: InvitationRow) -> Shown {
        Shown {
            row,
            code_prefix: String::new(),
            now: self.clock.now(),
            secret: None,
        }
    }

    /// Returns the invitation with its secret.
    pub(super) fn shown(&self, row: InvitationRow) -> Result<Shown> {
        let secret = self.handed_out(&row)?;
        Ok(Shown {
            secret,
            ..self.masked(row)
        })
    }

    /// Fills the secrets of these invitations into the answer.
    pub(super) fn fill<D, A: Answer<D>>(
        &self,
        answer: &mut A,
        rows: &[InvitationRow],
    ) -> Result<()> {
        for row in rows {
            if let Some(secret) = self.handed_out(row)? {
                answer.fill(&row.invitation.name(), secret);
            }
        }
        Ok(())
    }
}
