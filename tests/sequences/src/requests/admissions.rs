//! `AdmissionService`, called as the invitations service calls it: previews, repeated redemptions,
//! and fences no higher than the invitation's epoch.

use homeroom_api::{
    common::v1::User,
    membership::v1::{
        AdmitRequest, BatchAdmitRequest, CheckAccessRequest, GetAdmissionRequest, Permission,
        RaiseFenceRequest, admit_request::Route, member::provenance::Method as WayIn,
    },
};

use super::{
    Method,
    composer::{Caller, Composer, Request},
};

const SERVICE: &str = "homeroom.membership.v1.AdmissionService";
/// The first epoch of every invitation: no redemption is below it.
const FIRST_EPOCH: i64 = 1;

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "Admit", 3, admit),
    Method::new(SERVICE, "BatchAdmit", 3, admit_many),
    Method::new(SERVICE, "GetAdmission", 1, get),
    Method::new(SERVICE, "RaiseFence", 1, raise_fence),
    Method::new(SERVICE, "CheckAccess", 1, check_access),
];

/// Returns a request that repeats an acknowledged redemption, which has its answer, or that
/// previews.
fn admission(composer: &mut Composer<'_>) -> AdmitRequest {
    let again = composer
        .dice
        .pick_from(&composer.world.acknowledged)
        .cloned();
    let validate_only = again.is_none() || composer.dice.chance(30);
    let invitation_issue_time = Some(composer.time(48, 0));
    let (redemption, parent, user) = match again {
        Some(known) => (known.redemption, known.place, known.user),
        None => (
            format!(
                "{}/redemptions/01900000-0000-7000-8000-000000000000",
                composer.world.organizations[0]
            ),
            composer.class(),
            composer.student(),
        ),
    };
    AdmitRequest {
        redemption,
        invitation: composer.invitation(),
        epoch: FIRST_EPOCH,
        parent,
        user: Some(User {
            user,
            ..Default::default()
        }),
        route: Route::AdmitAtOnce.into(),
        method: WayIn::ClassCode.into(),
        invitation_issue_time,
        validate_only,
        ..Default::default()
    }
}

fn admit(composer: &mut Composer<'_>) -> Request {
    let message = admission(composer);
    Request::new(Caller::Platform, &message)
}

fn admit_many(composer: &mut Composer<'_>) -> Request {
    let count = composer.dice.between(1, 3);
    let requests = (0..count).map(|_| admission(composer)).collect();
    Request::new(Caller::Platform, &BatchAdmitRequest { requests })
}

fn get(composer: &mut Composer<'_>) -> Request {
    let known = composer.dice.pick_from(&composer.world.acknowledged);
    let name = known.map_or_else(
        || {
            format!(
                "{}/redemptions/01900000-0000-7000-8000-000000000000",
                composer.world.organizations[0]
            )
        },
        |known| known.redemption.clone(),
    );
    Request::new(Caller::Platform, &GetAdmissionRequest { name })
}

fn raise_fence(composer: &mut Composer<'_>) -> Request {
    let message = RaiseFenceRequest {
        invitation: composer.invitation(),
        epoch: FIRST_EPOCH,
    };
    Request::new(Caller::Platform, &message)
}

fn check_access(composer: &mut Composer<'_>) -> Request {
    let permission = *composer.dice.pick(&[
        Permission::View,
        Permission::ReadInvitations,
        Permission::ManageInvitations,
        Permission::ManageOrganization,
    ]);
    let message = CheckAccessRequest {
        user: composer.anyone(),
        name: composer.place(),
        permission: permission.into(),
    };
    Request::new(Caller::Platform, &message)
}
