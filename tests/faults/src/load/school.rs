//! An organization with two classes and every kind of invitation.

use std::sync::Mutex;

use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        CreateEnrollmentCodeRequest, CreateTokenRequest, EnrollmentCode, GetClassCodeRequest,
        GetInviteTokenRequest, GetJoinUrlRequest, JoinUrl, Token, UpdateJoinUrlRequest,
    },
    membership::v1::{
        AddOrganizationMemberRequest, Class, CreateClassRequest, CreateOrganizationRequest, Member,
        Organization,
    },
};
use prost_types::FieldMask;
use tonic::{Response, Status};

use super::way::{Kind, Way};
use crate::{
    callers::{Caller, Platform},
    dice::Dice,
};

/// The bound of a class token's uses, exclusive.
const TOKEN_USES_BELOW: usize = 20;
/// The bound of an enrollment code's uses, exclusive.
const ENROLLMENT_CODE_USES_BELOW: usize = 60;

/// An organization of the load.
#[derive(Debug)]
pub(crate) struct School {
    /// The resource name.
    pub(crate) organization: String,
    pub(crate) classes: Vec<String>,
    pub(crate) ways: Vec<Way>,
    /// User ids of the staff.
    pub(crate) admin: String,
    pub(crate) teacher: String,
    /// Admitted students, whom staff may remove.
    pub(crate) students: Mutex<Vec<String>>,
}

/// Retries a few times: nothing is broken yet, but the machine may be busy.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut tries = 0;
    loop {
        match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if tries == 50 => return Err(status),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

impl School {
    /// Creates a school with this id and seat limit; 0 means no limit.
    pub(crate) async fn open(
        platform: &Platform,
        id: &str,
        seat_limit: i64,
        dice: &Dice,
    ) -> Result<Self, Status> {
        let (admin, teacher) = (format!("{id}-admin"), format!("{id}-teacher"));
        let by_platform = platform.acting_for("platform");
        let by_admin = platform.acting_for(&admin);
        let by_teacher = platform.acting_for(&teacher);
        let create = CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(Organization {
                display_name: id.to_owned(),
                seat_limit,
                ..Default::default()
            }),
            admin: admin.clone(),
            request_id: dice.request_id(),
        };
        let organization = patiently(async || {
            by_platform
                .organizations()
                .create_organization(create.clone())
                .await
        })
        .await?
        .name;
        let add = AddOrganizationMemberRequest {
            parent: organization.clone(),
            member: Some(Member {
                user: teacher.clone(),
                role: Role::Teacher.into(),
                ..Default::default()
            }),
            request_id: dice.request_id(),
        };
        patiently(async || {
            by_admin
                .members()
                .add_organization_member(add.clone())
                .await
        })
        .await?;
        let mut classes = Vec::new();
        let mut ways = Vec::new();
        for class_id in ["biology", "chemistry"] {
            let create = CreateClassRequest {
                parent: organization.clone(),
                class_id: class_id.to_owned(),
                class: Some(Class {
                    display_name: class_id.to_owned(),
                    ..Default::default()
                }),
                request_id: dice.request_id(),
            };
            let class = patiently(async || by_teacher.classes().create_class(create.clone()).await)
                .await?
                .name;
            ways.extend(ways_into_class(&by_teacher, &class, dice).await?);
            classes.push(class);
        }
        let name = format!("{organization}/inviteToken");
        let get = GetInviteTokenRequest { name: name.clone() };
        let token =
            patiently(async || by_admin.tokens().get_invite_token(get.clone()).await).await?;
        ways.push(Way::new(
            Kind::InviteToken,
            &organization,
            name,
            token.token,
        ));
        ways.push(enrollment_code(&by_admin, &organization, dice).await?);
        Ok(Self {
            organization,
            classes,
            ways,
            admin,
            teacher,
            students: Mutex::default(),
        })
    }
}

async fn ways_into_class(teacher: &Caller, class: &str, dice: &Dice) -> Result<Vec<Way>, Status> {
    let name = format!("{class}/classCode");
    let get = GetClassCodeRequest { name: name.clone() };
    let code = patiently(async || teacher.class_codes().get_class_code(get.clone()).await).await?;
    let mut ways = vec![Way::new(Kind::ClassCode, class, name, code.code)];

    let name = format!("{class}/joinUrl");
    let get = GetJoinUrlRequest { name: name.clone() };
    let url = patiently(async || teacher.join_urls().get_join_url(get.clone()).await).await?;
    if !url.enabled {
        let switch = UpdateJoinUrlRequest {
            join_url: Some(JoinUrl {
                name: name.clone(),
                enabled: true,
                ..Default::default()
            }),
            update_mask: Some(mask("enabled")),
            request_id: dice.request_id(),
        };
        patiently(async || teacher.join_urls().update_join_url(switch.clone()).await).await?;
    }
    ways.push(Way::new(Kind::JoinUrl, class, name, url.url));

    for _ in 0..2 {
        let create = new_token(class, dice);
        let token = patiently(async || teacher.tokens().create_token(create.clone()).await).await?;
        ways.push(Way::new(Kind::Token, class, token.name, token.phrase));
    }
    ways.push(enrollment_code(teacher, class, dice).await?);
    Ok(ways)
}

async fn enrollment_code(staff: &Caller, place: &str, dice: &Dice) -> Result<Way, Status> {
    let create = new_enrollment_code(place, dice);
    let code = patiently(async || {
        staff
            .enrollment_codes()
            .create_enrollment_code(create.clone())
            .await
    })
    .await?;
    Ok(Way::new(
        Kind::EnrollmentCode,
        place,
        code.name,
        code.full_code,
    ))
}

/// Returns a class token with few uses.
pub(crate) fn new_token(class: &str, dice: &Dice) -> CreateTokenRequest {
    CreateTokenRequest {
        parent: class.to_owned(),
        token: Some(Token {
            max_uses: Some(i32::try_from(1 + dice.below(TOKEN_USES_BELOW)).unwrap()),
            ..Default::default()
        }),
        request_id: dice.request_id(),
    }
}

/// Returns an enrollment code with some uses.
pub(crate) fn new_enrollment_code(place: &str, dice: &Dice) -> CreateEnrollmentCodeRequest {
    CreateEnrollmentCodeRequest {
        parent: place.to_owned(),
        enrollment_code: Some(EnrollmentCode {
            code: dice.word(14),
            max_uses: Some(i32::try_from(1 + dice.below(ENROLLMENT_CODE_USES_BELOW)).unwrap()),
            ..Default::default()
        }),
        acknowledge_weak: true,
        request_id: dice.request_id(),
    }
}

/// Returns a mask of this one path.
pub(crate) fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}
