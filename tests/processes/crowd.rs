//! A class of realistic size, and students who redeem its code until they have an answer.

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

/// The time for which one person retries.
const PATIENCE_SECONDS: u64 = 120;
/// The time after which a client abandons a call. Sometimes tonic's channel never ends a call whose
/// connection is gone, so these clients set a limit, as any client should.
pub(crate) const CALL_SECONDS: u64 = 15;
/// The time within which all unfinished work must settle once both services serve again.
const SETTLE_SECONDS: u64 = 60;
/// The largest page of a list.
const PAGE_ROWS_MAX: i32 = 1_000;

/// The platform, which creates organizations.
pub(crate) const PLATFORM: Claims<'static> = Claims {
    scopes: &["homeroom.platform"],
    ..Claims::of("platform")
};

/// A class whose code anyone may redeem.
pub(crate) struct OpenClass {
    /// `organizations/hamilton/classes/biology`.
    pub(crate) name: String,
    /// The class code.
    pub(crate) code: String,
}

impl OpenClass {
    /// Creates the class, with this many seats in its organization, and `teacher` as its teacher.
    pub(crate) async fn create(processes: &Processes, seats: usize) -> Self {
        let platform = processes.user_with(PLATFORM);
        Self::create_by(platform, processes.user("teacher"), seats).await
    }

    /// Creates the class by calls of these two.
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

    /// Returns the request of the person with this number, the same for every try.
    pub(crate) fn request(&self, number: usize) -> RedeemRequest {
        RedeemRequest {
            credential: self.code.clone(),
            request_id: Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128).to_string(),
            ..Default::default()
        }
    }

    /// Waits until this many redemptions exist and all are COMMITTED; then checks that seats and
    /// members agree.
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

/// Returns a request for a class in the organization of [`OpenClass`].
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

/// Returns true if the outcome is unknown or the service is away, so that a retry loses nothing. A
/// cut connection also appears as UNKNOWN, CANCELLED or INTERNAL.
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

/// Redeems until there is an answer. Calls `tried` for every try that ended, with its start and its
/// failure. An abandoned call is not checked here: a service that left a call unanswered when it
/// stopped reports this by its exit status.
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
