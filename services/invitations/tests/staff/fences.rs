//! P7 for every change that shuts people out: while membership raises no fence the change stands but is not answered,
//! and a retry is answered once the fence is up.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        CreateEnrollmentCodeRequest, CreateTokenRequest, DeleteEnrollmentCodeRequest,
        EnrollmentCode, GetClassCodeRequest, GetInviteTokenRequest, GetJoinUrlRequest, JoinUrl,
        LockClassCodeRequest, ResetClassCodeRequest, ResetInviteTokenRequest, RevokeTokenRequest,
        Token, UnlockClassCodeRequest, UpdateEnrollmentCodeRequest, UpdateJoinUrlRequest,
        class_code_service_server::ClassCodeService as _,
        enrollment_code_service_server::EnrollmentCodeService as _,
        join_url_service_server::JoinUrlService as _, token_service_server::TokenService as _,
    },
};
use prost_types::FieldMask;
use tonic::Status;

use crate::{
    fake_membership::Mode,
    world::{CLASS, REQUEST, World, by, reason},
};

/// A change of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    ClassCodeReset,
    InviteTokenReset,
    TokenRevoked,
    JoinUrlOff,
    CodeOff,
    CodeReplaced,
    CodeDeleted,
    // From here on, nobody is shut out.
    ClassCodeLocked,
    ClassCodeUnlocked,
    JoinUrlOn,
    CodeOn,
    CodeRespelled,
    CodeBounded,
}

/// The changes that shut people out, each with its event.
const SHUT_OUT: [(Change, &str); 7] = [
    (Change::ClassCodeReset, "class_code.reset"),
    (Change::InviteTokenReset, "invite_token.reset"),
    (Change::TokenRevoked, "token.revoked"),
    (Change::JoinUrlOff, "join_url.updated"),
    (Change::CodeOff, "enrollment_code.updated"),
    (Change::CodeReplaced, "enrollment_code.updated"),
    (Change::CodeDeleted, "enrollment_code.deleted"),
];

impl Change {
    /// Makes the invitation. Returns its name.
    async fn make(self, world: &World) -> String {
        /// Gets what is made as soon as somebody reads it.
        macro_rules! get {
            ($handlers:ident.$method:ident($message:ident), $name:expr) => {{
                let name = $name.to_owned();
                let made = world.$handlers.$method(by("tess", $message { name }));
                made.await.unwrap().into_inner().name
            }};
        }
        match self {
            Self::ClassCodeReset | Self::ClassCodeLocked | Self::ClassCodeUnlocked => {
                let name = format!("{CLASS}/classCode");
                get!(class_codes.get_class_code(GetClassCodeRequest), name)
            }
            Self::InviteTokenReset => {
                let name = "organizations/hamilton/inviteToken";
                get!(tokens.get_invite_token(GetInviteTokenRequest), name)
            }
            Self::TokenRevoked => {
                let create = CreateTokenRequest {
                    parent: CLASS.to_owned(),
                    token: Some(Token::default()),
                    ..Default::default()
                };
                let made = world.tokens.create_token(by("tess", create)).await;
                made.unwrap().into_inner().name
            }
            Self::JoinUrlOff | Self::JoinUrlOn => {
                let name = format!("{CLASS}/joinUrl");
                get!(join_urls.get_join_url(GetJoinUrlRequest), name)
            }
            _ => {
                let create = CreateEnrollmentCodeRequest {
                    parent: CLASS.to_owned(),
                    enrollment_code: Some(EnrollmentCode {
                        code: "BIO101".to_owned(),
                        ..Default::default()
                    }),
                    acknowledge_weak: true,
                    ..Default::default()
                };
                let made = by("tess", create);
                let made = world.enrollment_codes.create_enrollment_code(made).await;
                made.unwrap().into_inner().name
            }
        }
    }

    /// Makes the change, under this request id.
    async fn apply(self, world: &World, name: &str, request_id: &str) -> Result<(), Status> {
        let (name, request_id) = (name.to_owned(), request_id.to_owned());
        let (etag, codes) = (String::new(), &world.enrollment_codes);
        /// Calls a method whose request holds the name, the etag and the request id.
        macro_rules! call {
            ($handlers:ident.$method:ident($message:ident)) => {{
                let message = $message {
                    name,
                    etag,
                    request_id,
                };
                let answer = world.$handlers.$method(by("tess", message)).await;
                answer.map(drop)
            }};
        }
        match self {
            Self::ClassCodeReset => call!(class_codes.reset_class_code(ResetClassCodeRequest)),
            Self::ClassCodeLocked => call!(class_codes.lock_class_code(LockClassCodeRequest)),
            Self::ClassCodeUnlocked => call!(class_codes.unlock_class_code(UnlockClassCodeRequest)),
            Self::InviteTokenReset => call!(tokens.reset_invite_token(ResetInviteTokenRequest)),
            Self::TokenRevoked => call!(tokens.revoke_token(RevokeTokenRequest)),
            Self::CodeDeleted => {
                call!(enrollment_codes.delete_enrollment_code(DeleteEnrollmentCodeRequest))
            }
            Self::JoinUrlOff | Self::JoinUrlOn => {
                let enabled = self == Self::JoinUrlOn;
                let changed = JoinUrl {
                    name,
                    enabled,
                    ..Default::default()
                };
                let request = UpdateJoinUrlRequest {
                    join_url: Some(changed),
                    update_mask: Some(mask(&["enabled"])),
                    request_id,
                };
                let updated = world.join_urls.update_join_url(by("tess", request));
                updated.await.map(drop)
            }
            _ => {
                let (paths, code): (&[&str], _) = match self {
                    Self::CodeReplaced => (&["code"], "CHEM101"),
                    Self::CodeRespelled => (&["code"], "bio-101"),
                    Self::CodeBounded => (&["max_uses", "email_domains", "display_name"], ""),
                    _ => (&["enabled"], ""),
                };
                let request = UpdateEnrollmentCodeRequest {
                    enrollment_code: Some(EnrollmentCode {
                        name,
                        code: code.to_owned(),
                        enabled: Some(self == Self::CodeOn),
                        max_uses: Some(30),
                        display_name: "Term 1".to_owned(),
                        ..Default::default()
                    }),
                    update_mask: Some(mask(paths)),
                    acknowledge_weak: true,
                    acknowledge_broad_domain: false,
                    request_id,
                };
                let updated = codes.update_enrollment_code(by("tess", request));
                updated.await.map(drop)
            }
        }
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    let paths = paths.iter().map(ToString::to_string).collect();
    FieldMask { paths }
}

/// Returns the number of pending fences.
async fn pending(world: &World) -> usize {
    let mut repository = world.app.store.read().await.unwrap();
    let pending = repository.list_pending_fences(None, 10).await;
    pending.unwrap().len()
}

#[tokio::test]
async fn p7_each_change_that_shuts_out_is_answered_only_once_its_fence_is_up() {
    for (change, event) in SHUT_OUT {
        let world = World::new().await;
        let name = change.make(&world).await;
        // Given membership that raises no fence, a change stands but is not answered, however often it is tried
        world.membership.set(Mode::RaisesNoFence);
        for _ in 0..2 {
            let unanswered = change.apply(&world, &name, REQUEST).await;
            let reason = reason(unanswered);
            assert_eq!(reason, ErrorReason::MembershipUnavailable, "{change:?}");
        }
        assert_eq!(world.membership.fence(&name), 0, "{change:?}");
        assert_eq!(pending(&world).await, 1, "{change:?}");
        let events = world.event_types().await;
        assert_eq!(events[1..], [event], "made, and changed once");
        // When membership is back, then the same request is answered and the fence is up.
        world.membership.set(Mode::Up);
        change.apply(&world, &name, REQUEST).await.unwrap();
        assert_eq!(world.membership.fence(&name), 2, "{change:?}");
        assert_eq!(pending(&world).await, 0, "{change:?}");
        assert_eq!(world.event_types().await, events, "{change:?}");
        // Nothing is left of a secret that is revoked or deleted.
        if matches!(change, Change::TokenRevoked | Change::CodeDeleted) {
            assert_eq!(world.row(&name).await.secret, None, "{change:?}");
        }
    }
}

#[tokio::test]
async fn p7_recovery_raises_the_fence_of_each_and_the_retry_is_answered() {
    for (change, _) in SHUT_OUT {
        let world = World::new().await;
        let name = change.make(&world).await;
        world.membership.set(Mode::RaisesNoFence);
        change.apply(&world, &name, REQUEST).await.unwrap_err();
        assert_eq!(world.app.raise_pending_fences().await.unwrap(), 0);
        world.membership.set(Mode::Up);
        for raised in [1, 0] {
            let found = world.app.raise_pending_fences().await.unwrap();
            assert_eq!(found, raised, "{change:?}");
        }
        assert_eq!(world.membership.fence(&name), 2, "{change:?}");
        // Membership need not be asked again.
        world.membership.set(Mode::RaisesNoFence);
        change.apply(&world, &name, REQUEST).await.unwrap();
    }
}

#[tokio::test]
async fn p7_a_change_that_shuts_nobody_out_raises_no_fence() {
    for (before, change) in [
        (None, Change::ClassCodeLocked),
        (Some(Change::ClassCodeLocked), Change::ClassCodeUnlocked),
        (Some(Change::JoinUrlOff), Change::JoinUrlOn),
        (Some(Change::CodeOff), Change::CodeOn),
        (None, Change::CodeRespelled),
        (None, Change::CodeBounded),
    ] {
        let world = World::new().await;
        let name = change.make(&world).await;
        if let Some(before) = before {
            before.apply(&world, &name, "").await.unwrap();
        }
        let fence = world.membership.fence(&name);
        world.membership.set(Mode::RaisesNoFence);
        change.apply(&world, &name, "").await.unwrap();
        assert_eq!(world.membership.fence(&name), fence, "{change:?}");
        assert_eq!(pending(&world).await, 0, "{change:?}");
    }
}

#[tokio::test]
async fn p7_a_deleted_code_is_not_said_to_be_gone_before_its_fence_is_up() {
    let world = World::new().await;
    let name = Change::CodeDeleted.make(&world).await;
    let delete = async || reason(Change::CodeDeleted.apply(&world, &name, "").await);
    world.membership.set(Mode::RaisesNoFence);
    for _ in 0..2 {
        assert_eq!(delete().await, ErrorReason::MembershipUnavailable);
    }
    world.membership.set(Mode::Up);
    assert_eq!(delete().await, ErrorReason::CodeNotFound);
    assert_eq!(world.membership.fence(&name), 2);
}
