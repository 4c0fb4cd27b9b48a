//! `ClearFailedAttempts`: lets a person whom the limiter refuses redeem again, for support (R10).

use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::UserName};
use homeroom_kit::{Error, Result, auth::Caller, rpc::require_unbound};

use super::App;

impl App {
    /// Forgets the person's failed attempts, after writing an audit entry (R12). Fails with `DATABASE_UNAVAILABLE`
    /// while the limiter's Redis does not answer.
    pub async fn clear_failed_attempts(&self, caller: &Caller, user: UserId) -> Result<()> {
        require_unbound(caller)?;
        let subject = UserName(user.clone()).to_string();
        self.audit_deed(caller, None, subject).await?;
        if self.redemptions.limiter.clear(&user).await {
            return Ok(());
        }
        Err(Error::unavailable(
            ErrorReason::DatabaseUnavailable,
            "The limiter's Redis does not answer; retry after the delay given.",
        ))
    }
}
