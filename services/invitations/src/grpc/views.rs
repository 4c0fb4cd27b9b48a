//! How the contract shows an invitation.

use homeroom_api::names::InvitationName;

use crate::{
    app::{
        answer::{Answer, Shown},
        urls::HandedOut,
    },
    domain::invitation::{Invitation, Uses},
};

/// An invitation in the contract's form, declared by [`views!`].
pub(super) trait View: From<Shown> + prost::Message + Default + 'static {
    /// Returns it without the secret.
    fn masked(shown: &Shown) -> Self;

    /// Puts the secret in.
    fn show(&mut self, secret: HandedOut);
}

/// Makes views of what the use cases answer.
macro_rules! views {
    ($($view:ty),+) => {
        $(
            impl From<$crate::app::answer::Shown> for $view {
                fn from(shown: $crate::app::answer::Shown) -> Self {
                    let mut view = <Self as $crate::grpc::views::View>::masked(&shown);
                    if let Some(secret) = shown.secret {
                        $crate::grpc::views::View::show(&mut view, secret);
                    }
                    view
                }
            }
        )+
    };
}
pub(super) use views;

impl<V: View> Answer<()> for V {
    fn of((): (), mut invitations: Vec<Shown>) -> Self {
        invitations.pop().map(Self::from).unwrap_or_default()
    }

    fn fill(&mut self, _: &InvitationName, secret: HandedOut) {
        self.show(secret);
    }
}

/// Returns the address of a secret for an answer; empty if there is none.
pub(super) fn url(secret: HandedOut) -> String {
    let url = secret.url;
    url.map_or_else(String::new, |url| url.expose().to_owned())
}

/// Returns the uses spent or held, for kinds whose uses can run out.
pub(super) fn held(uses: Uses) -> i64 {
    i64::from(uses.held())
}

/// Returns the admissions, for kinds whose uses cannot run out.
pub(super) fn admissions(uses: Uses) -> i64 {
    i64::from(uses.used)
}

/// Returns the number of people that the invitation admits; 0 is any number.
pub(super) fn max_uses(invitation: &Invitation) -> i32 {
    i32::try_from(invitation.max_uses.unwrap_or(0)).unwrap_or(i32::MAX)
}
