//! A school for tests: an organization, its staff and one class.

use homeroom_api::{
    common::v1::{Role, User},
    invitations::v1::{
        ClassCode, CreateEnrollmentCodeRequest, CreateTokenRequest, EnrollmentCode,
        GetClassCodeRequest, GetInviteTokenRequest, GetJoinUrlRequest, GetTokenRequest,
        InviteToken, JoinUrl, PreviewRedemptionRequest, PreviewRedemptionResponse, RedeemRequest,
        RedeemResponse, RedemptionOutcome, Token, redeem_response,
    },
    membership::v1::{
        AddClassMemberRequest, AddOrganizationMemberRequest, Admission, AdmitRequest, Class,
        CreateClassRequest, CreateOrganizationRequest, GetSeatUsageRequest, JoinRequest,
        ListClassMembersRequest, ListJoinRequestsRequest, ListOrganizationMembersRequest, Member,
        Organization, RemoveOrganizationMemberRequest, SeatUsage, admit_request,
        member::provenance::Method,
    },
};
use tonic::Status;

use crate::{Claims, Homeroom, clients::Clients, processes::Processes, timestamp};

/// An organization with an administrator, a teacher who owns one class, and a co-teacher.
#[derive(Clone)]
pub struct School {
    /// `organizations/{organization}`.
    pub organization: String,
    /// `organizations/{organization}/classes/{class}`.
    pub class: String,
    /// The platform, with the scope `homeroom.platform`.
    pub platform: Clients,
    /// The organization's administrator, user id `admin`.
    pub admin: Clients,
    /// The class's owner, user id `teacher`.
    pub teacher: Clients,
    /// A co-teacher of the class, user id `co-teacher`.
    pub co_teacher: Clients,
}

impl Homeroom {
    /// Creates the school `hamilton` without a seat limit and with the class `biology`.
    pub async fn school(&self) -> School {
        self.school_named("hamilton", 0).await
    }

    /// Creates a school with this id and seat limit; 0 means no limit.
    pub async fn school_named(&self, id: &str, seat_limit: i64) -> School {
        School::create(id, seat_limit, |claims| self.user_with(claims)).await
    }
}

impl Processes {
    /// Creates the school `hamilton` without a seat limit and with the class `biology`.
    pub async fn school(&self) -> School {
        School::create("hamilton", 0, |claims| self.user_with(claims)).await
    }
}

impl School {
    /// Creates a school with this id and seat limit (0 means no limit), by callers with claims.
    pub async fn create(id: &str, seat_limit: i64, caller: impl Fn(Claims<'_>) -> Clients) -> Self {
        let mut platform = caller(Claims {
            scopes: &["homeroom.platform"],
            ..Claims::of("platform")
        });
        let [mut admin, mut teacher, co_teacher] =
            ["admin", "teacher", "co-teacher"].map(|user| caller(Claims::of(user)));
        let organization = platform
            .organizations
            .create_organization(CreateOrganizationRequest {
                organization_id: id.to_owned(),
                organization: Some(Organization {
                    display_name: format!("{id} school"),
                    seat_limit,
                    ..Default::default()
                }),
                admin: "admin".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .name;
        for (user, role) in [("teacher", Role::Teacher), ("co-teacher", Role::Teacher)] {
            admin
                .members
                .add_organization_member(AddOrganizationMemberRequest {
                    parent: organization.clone(),
                    member: Some(member(user, role)),
                    ..Default::default()
                })
                .await
                .unwrap();
        }
        let class = teacher
            .classes
            .create_class(CreateClassRequest {
                parent: organization.clone(),
                class_id: "biology".to_owned(),
                class: Some(Class {
                    display_name: "Biology".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .name;
        teacher
            .members
            .add_class_member(AddClassMemberRequest {
                parent: class.clone(),
                member: Some(member("co-teacher", Role::CoTeacher)),
                ..Default::default()
            })
            .await
            .unwrap();
        Self {
            organization,
            class,
            platform,
            admin,
            teacher,
            co_teacher,
        }
    }

    /// Returns the same school with another class in the place of the first.
    #[must_use]
    pub fn of_class(&self, class: String) -> Self {
        Self {
            class,
            ..self.clone()
        }
    }

    /// Creates another class of the teacher.
    pub async fn another_class(&self, id: &str) -> String {
        self.teacher
            .clone()
            .classes
            .create_class(CreateClassRequest {
                parent: self.organization.clone(),
                class_id: id.to_owned(),
                class: Some(Class {
                    display_name: id.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .name
    }

    /// Returns the class's code, read by its owner.
    pub async fn class_code(&self) -> ClassCode {
        self.teacher
            .clone()
            .class_codes
            .get_class_code(GetClassCodeRequest {
                name: format!("{}/classCode", self.class),
            })
            .await
            .unwrap()
            .into_inner()
    }

    /// Returns the class's join URL, read by its owner.
    pub async fn join_url(&self) -> JoinUrl {
        self.teacher
            .clone()
            .join_urls
            .get_join_url(GetJoinUrlRequest {
                name: format!("{}/joinUrl", self.class),
            })
            .await
            .unwrap()
            .into_inner()
    }

    /// Returns the organization's invite token, read by its administrator.
    pub async fn invite_token(&self) -> InviteToken {
        self.admin
            .clone()
            .tokens
            .get_invite_token(GetInviteTokenRequest {
                name: format!("{}/inviteToken", self.organization),
            })
            .await
            .unwrap()
            .into_inner()
    }

    /// Creates a class token as the class's owner.
    pub async fn token(&self, token: Token) -> Token {
        self.token_of(&self.teacher, token).await
    }

    /// Creates a class token as this caller.
    pub async fn token_of(&self, caller: &Clients, token: Token) -> Token {
        caller
            .tokens
            .clone()
            .create_token(CreateTokenRequest {
                parent: self.class.clone(),
                token: Some(token),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
    }

    /// Returns a class token, read by the class's owner.
    pub async fn read_token(&self, name: &str) -> Token {
        let request = GetTokenRequest {
            name: name.to_owned(),
        };
        let mut tokens = self.teacher.clone().tokens;
        tokens.get_token(request).await.unwrap().into_inner()
    }

    /// Creates an enrollment code of the class as its owner.
    pub async fn enrollment_code(&self, code: EnrollmentCode) -> EnrollmentCode {
        self.try_enrollment_code(&self.class, code).await.unwrap()
    }

    /// Creates an enrollment code of a class or the organization as the administrator.
    pub async fn try_enrollment_code(
        &self,
        parent: &str,
        code: EnrollmentCode,
    ) -> Result<EnrollmentCode, Status> {
        self.admin
            .clone()
            .enrollment_codes
            .create_enrollment_code(CreateEnrollmentCodeRequest {
                parent: parent.to_owned(),
                enrollment_code: Some(code),
                acknowledge_weak: true,
                ..Default::default()
            })
            .await
            .map(tonic::Response::into_inner)
    }

    /// Returns the user ids on the class's roster.
    pub async fn roster(&self) -> Vec<String> {
        let mut users = Vec::new();
        let mut page_token = String::new();
        loop {
            let page = self
                .teacher
                .clone()
                .members
                .list_class_members(ListClassMembersRequest {
                    parent: self.class.clone(),
                    page_size: 1000,
                    page_token,
                    ..Default::default()
                })
                .await
                .unwrap()
                .into_inner();
            users.extend(page.members.into_iter().map(|member| member.user));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return users;
            }
        }
    }

    /// Returns the organization's students.
    pub async fn students(&self) -> Vec<Member> {
        self.admin
            .clone()
            .members
            .list_organization_members(ListOrganizationMembersRequest {
                parent: self.organization.clone(),
                page_size: 1000,
                filter: "role = \"STUDENT\"".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .members
    }

    /// Returns the class's waiting requests.
    pub async fn waiting(&self) -> Vec<JoinRequest> {
        self.co_teacher
            .clone()
            .join_requests
            .list_join_requests(ListJoinRequestsRequest {
                parent: self.class.clone(),
                page_size: 1000,
                filter: "state = \"PENDING\"".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .join_requests
    }

    /// Returns the organization's seats.
    pub async fn seats(&self) -> SeatUsage {
        self.admin
            .clone()
            .organizations
            .get_seat_usage(GetSeatUsageRequest {
                name: format!("{}/seatUsage", self.organization),
            })
            .await
            .unwrap()
            .into_inner()
    }
}

/// Returns a member to add.
#[must_use]
pub fn member(user: &str, role: Role) -> Member {
    Member {
        user: user.to_owned(),
        role: role.into(),
        ..Default::default()
    }
}

/// Returns a person to redeem for.
#[must_use]
pub fn person(user: &str) -> User {
    User {
        user: user.to_owned(),
        ..Default::default()
    }
}

impl Homeroom {
    /// Asks membership to admit a person by an invitation at an epoch, as an unfinished redemption
    /// would.
    pub async fn admit_at_epoch(
        &self,
        school: &School,
        invitation: &str,
        user: &str,
        epoch: i64,
    ) -> Admission {
        self.user_with(Claims {
            scopes: &["homeroom.admit"],
            ..Claims::of("invitations")
        })
        .admissions
        .admit(AdmitRequest {
            redemption: format!("{}/redemptions/{}", school.organization, self.new_id()),
            invitation: invitation.to_owned(),
            epoch,
            parent: school.class.clone(),
            user: Some(person(user)),
            route: admit_request::Route::AdmitAtOnce.into(),
            method: Method::ClassCode.into(),
            invitation_issue_time: Some(timestamp(self.now())),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .admission
        .unwrap()
    }
}

impl Homeroom {
    /// Redeems for a user and returns the settled answer; retries once if a use of the invitation was
    /// being taken (P3).
    pub async fn redeemed(&self, user: &str, credential: &str) -> Result<RedeemResponse, Status> {
        let student = self.user(user);
        let mut last = student.redeem(credential).await;
        self.settled().await;
        if matches!(&last, Err(status) if crate::reason(status) == "USE_IN_PROGRESS") {
            last = student.redeem(credential).await;
            self.settled().await;
        }
        last
    }

    /// Redeems for a user and returns the outcome.
    pub async fn outcome(&self, user: &str, credential: &str) -> RedemptionOutcome {
        self.redeemed(user, credential).await.unwrap().outcome()
    }

    /// Redeems for a user and returns the reason of the refusal.
    pub async fn refusal(&self, user: &str, credential: &str) -> String {
        crate::reason(&self.redeemed(user, credential).await.unwrap_err())
    }

    /// Redeems for a user and returns the join request that was filed.
    pub async fn queued(&self, user: &str, credential: &str) -> JoinRequest {
        match self.redeemed(user, credential).await.unwrap().result {
            Some(redeem_response::Result::JoinRequest(request)) => request,
            other => panic!("no join request: {other:?}"),
        }
    }
}

impl Clients {
    /// Removes the acting user from the organization, as leaving does.
    pub async fn leave(&self, organization: &str, user: &str) {
        self.members
            .clone()
            .remove_organization_member(RemoveOrganizationMemberRequest {
                name: format!("{organization}/members/{user}"),
                ..Default::default()
            })
            .await
            .unwrap();
    }

    /// Redeems for the acting user.
    pub async fn redeem(&self, credential: &str) -> Result<RedeemResponse, Status> {
        self.redeem_with(RedeemRequest {
            credential: credential.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// Redeems with this request.
    pub async fn redeem_with(&self, request: RedeemRequest) -> Result<RedeemResponse, Status> {
        self.redemptions
            .clone()
            .redeem(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// Previews for the acting user.
    pub async fn preview(&self, credential: &str) -> Result<PreviewRedemptionResponse, Status> {
        self.redemptions
            .clone()
            .preview_redemption(PreviewRedemptionRequest {
                credential: credential.to_owned(),
                ..Default::default()
            })
            .await
            .map(tonic::Response::into_inner)
    }
}
