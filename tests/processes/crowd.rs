//! A class of real size, and those who redeem its code until they have an answer.

use std::time::{Duration, Instant};

use homeroom_api::{
    invitations::v1::{
        GetClassCodeRequest, ListRedemptionsRequest, RedeemRequest, RedeemResponse,
        redemption::State,
    },
    membership::v1::{
        Class, CreateClassRequest, CreateOrganizationRequest, GetSeatUsageRequest,
        ListClassMembersRequest, Organization,
    },
};
use homeroom_tests::{Claims, Clients, processes::Processes};
use tonic::{Code, Status};
use uuid::Uuid;

/// How long one person goes on trying.
const PATIENCE_SECONDS: u64 = 120;
/// How long a call may take before its client gives it up. Now and then tonic's channel never ends a call
/// whose connection is gone, so, as any client should, these set a limit.
pub(crate) const CALL_SECONDS: u64 = 15;
/// Within which everything under way is settled once both serve again.
const SETTLE_SECONDS: u64 = 60;
/// The largest page of a list.
const PAGE_ROWS_MAX: i32 = 1_000;

/// Who creates organizations.
pub(crate) const PLATFORM: Claims<'static> = Claims {
    scopes: &["homeroom.platform"],
    ..Claims::of("platform")
};

/// A class whose code anyone may redeem.
pub(crate) struct OpenClass {
    /// `organizations/hamilton/classes/biology`.
    pub(crate) name: String,
    /// Its code.
    pub(crate) code: String,
}

impl OpenClass {
    /// Makes it, with so many seats in its organization, and `teacher` its teacher.
    pub(crate) async fn create(processes: &Processes, seats: usize) -> Self {
        let platform = processes.user_with(PLATFORM);
        Self::create_by(platform, processes.user("teacher"), seats).await
    }

    /// Makes it by calls of these two.
    pub(crate) async fn create_by(
        mut platform: Clients,
        mut teacher: Clients,
        seats: usize,
    ) -> Self {
        platform
            .organizations
            .create_organization(CreateOrganizationRequest {
                organization_id: "hamilton".to_owned(),
                organization: Some(Organization {
                    display_name: "Hamilton".to_owned(),
                    seat_limit: i64::try_from(seats).unwrap(),
                    ..Default::default()
                }),
                admin: "teacher".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap();
        let class = teacher
            .classes
            .create_class(new_class("biology", "Biology"))
            .await
            .unwrap();
        let name = class.into_inner().name;
        let code = teacher
            .class_codes
            .get_class_code(GetClassCodeRequest {
                name: format!("{name}/classCode"),
            })
            .await
            .unwrap();
        Self {
            name,
            code: code.into_inner().code,
        }
    }

    /// The request by which the person of this number redeems, the same on every try.
    pub(crate) fn request(&self, number: usize) -> RedeemRequest {
        RedeemRequest {
            credential: self.code.clone(),
            request_id: Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128).to_string(),
            ..Default::default()
        }
    }

    /// Waits until so many redemptions stand and all are COMMITTED; then seats and members agree.
    pub(crate) async fn settled(&self, processes: &Processes, redemptions: usize, seats: usize) {
        let mut teacher = processes.user("teacher");
        let settled = async {
            loop {
                let list = ListRedemptionsRequest {
                    parent: self.name.clone(),
                    page_size: PAGE_ROWS_MAX,
                    ..Default::default()
                };
                if let Ok(page) = teacher.redemptions.list_redemptions(list).await {
                    let found = page.into_inner().redemptions;
                    let is_committed = |one: &_| {
                        homeroom_api::invitations::v1::Redemption::state(one) == State::Committed
                    };
                    if found.iter().all(is_committed) {
                        return found.len();
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let committed = tokio::time::timeout(Duration::from_secs(SETTLE_SECONDS), settled)
            .await
            .expect("settled within a minute");
        assert_eq!(committed, redemptions);
        let usage = teacher
            .organizations
            .get_seat_usage(GetSeatUsageRequest {
                name: "organizations/hamilton/seatUsage".to_owned(),
            })
            .await
            .unwrap()
            .into_inner();
        let number = |count: usize| i64::try_from(count).unwrap();
        assert_eq!(usage.seats_used, number(redemptions));
        assert_eq!(usage.seats_available, Some(number(seats - redemptions)));
        let roster = teacher
            .members
            .list_class_members(ListClassMembersRequest {
                parent: self.name.clone(),
                page_size: PAGE_ROWS_MAX,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .members;
        assert_eq!(roster.len(), redemptions + 1, "all and their teacher");
        let (holds, printed) = processes.audit();
        assert!(holds, "{printed}");
    }
}

/// A class of the organization of [`OpenClass`].
pub(crate) fn new_class(id: &str, display_name: &str) -> CreateClassRequest {
    CreateClassRequest {
        parent: "organizations/hamilton".to_owned(),
        class_id: id.to_owned(),
        class: Some(Class {
            display_name: display_name.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Whether the outcome is not known, or the service is away: who asks again loses nothing. A cut
/// connection surfaces as UNKNOWN, CANCELLED or INTERNAL too.
pub(crate) fn asks_again(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Aborted
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::DeadlineExceeded
    )
}

/// Redeems until there is an answer. Tells `tried` of every try that ended, with when it began and how it
/// failed. One that was given up is nobody's to judge here: a service that left a call unanswered when it
/// stopped says so by its exit status.
pub(crate) async fn redeem(
    student: &Clients,
    request: RedeemRequest,
    mut tried: impl FnMut(Instant, Option<&Status>),
) -> Result<RedeemResponse, Status> {
    let patience = tokio::time::timeout(Duration::from_secs(PATIENCE_SECONDS), async {
        loop {
            let begun = Instant::now();
            let call = student.redeem_with(request.clone());
            let Ok(answer) = tokio::time::timeout(Duration::from_secs(CALL_SECONDS), call).await
            else {
                continue;
            };
            tried(begun, answer.as_ref().err());
            match answer {
                Err(status) if asks_again(&status) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                answer => return answer,
            }
        }
    });
    patience.await.expect("an answer in time")
}
