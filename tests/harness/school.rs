//! A school for tests: an organization, its staff and one class.

use std::time::Duration;

use homeroom_api::{
    invitations::v1::{
        ClassCode, CreateEnrollmentCodeRequest, CreateTokenRequest, EnrollmentCode, InviteToken,
        JoinUrl, PreviewRedemptionRequest, PreviewRedemptionResponse, RedeemRequest,
        RedeemResponse, RedemptionOutcome, Token, redeem_response,
    },
    membership::v1::{
        Admission, AdmitResponse, Class, JoinRequest, ListClassMembersResponse,
        ListJoinRequestsResponse, ListOrganizationMembersResponse, Member, Organization, SeatUsage,
    },
};
use serde_json::{Value, json};
use tonic::Status;

use crate::{Claims, Homeroom, clients::Clients, processes::Processes};

/// The time after which a caller abandons a call.
const CALL_MAX: Duration = Duration::from_secs(15);
/// The time for which a caller retries.
const PATIENCE: Duration = Duration::from_mins(2);
/// The time before a retry if the answer states none.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest time before a retry.
const PAUSE_MAX: Duration = Duration::from_millis(500);

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
        let platform = caller(Claims {
            scopes: &["homeroom.platform"],
            ..Claims::of("platform")
        });
        let [admin, teacher, co_teacher] =
            ["admin", "teacher", "co-teacher"].map(|user| caller(Claims::of(user)));
        let school = json!({"display_name": format!("{id} school"), "seat_limit": seat_limit});
        let create = json!({"organization_id": id, "organization": school, "admin": "admin"});
        let made: Organization = platform
            .ask("OrganizationService.CreateOrganization", create)
            .await;
        let organization = made.name;
        for user in ["teacher", "co-teacher"] {
            let member = json!({"user": user, "role": "TEACHER"});
            let add = json!({"parent": organization, "member": member});
            admin
                .ask::<Member>("MemberService.AddOrganizationMember", add)
                .await;
        }
        let create = json!({
            "parent": organization, "class_id": "biology", "class": {"display_name": "Biology"},
        });
        let class: Class = teacher.ask("ClassService.CreateClass", create).await;
        let class = class.name;
        let member = json!({"user": "co-teacher", "role": "CO_TEACHER"});
        let add = json!({"parent": class, "member": member});
        teacher
            .ask::<Member>("MemberService.AddClassMember", add)
            .await;
        Self {
            organization,
            class,
            platform,
            admin,
            teacher,
            co_teacher,
        }
    }

    /// Returns the same school, called by other callers with the same subjects.
    #[must_use]
    pub fn through(&self, caller: impl Fn(Claims<'_>) -> Clients) -> Self {
        let [admin, teacher, co_teacher] =
            ["admin", "teacher", "co-teacher"].map(|user| caller(Claims::of(user)));
        Self {
            admin,
            teacher,
            co_teacher,
            ..self.clone()
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
        let class = json!({"display_name": id});
        let create = json!({"parent": self.organization, "class_id": id, "class": class});
        let class: Class = self.teacher.ask("ClassService.CreateClass", create).await;
        class.name
    }

    /// Returns the class's code, read by its owner.
    pub async fn class_code(&self) -> ClassCode {
        let name = json!({"name": format!("{}/classCode", self.class)});
        self.teacher
            .ask("ClassCodeService.GetClassCode", name)
            .await
    }

    /// Returns the class's join URL, read by its owner.
    pub async fn join_url(&self) -> JoinUrl {
        let name = json!({"name": format!("{}/joinUrl", self.class)});
        self.teacher.ask("JoinUrlService.GetJoinUrl", name).await
    }

    /// Returns the organization's invite token, read by its administrator.
    pub async fn invite_token(&self) -> InviteToken {
        let name = json!({"name": format!("{}/inviteToken", self.organization)});
        self.admin.ask("TokenService.GetInviteToken", name).await
    }

    /// Creates a class token as the class's owner.
    pub async fn token(&self, token: Token) -> Token {
        self.token_of(&self.teacher, token).await
    }

    /// Creates a class token as this caller.
    pub async fn token_of(&self, caller: &Clients, token: Token) -> Token {
        let create = CreateTokenRequest {
            parent: self.class.clone(),
            token: Some(token),
            ..Default::default()
        };
        let made = caller.call_typed("TokenService.CreateToken", &create).await;
        made.unwrap()
    }

    /// Returns a class token, read by the class's owner.
    pub async fn read_token(&self, name: &str) -> Token {
        let name = json!({"name": name});
        self.teacher.ask("TokenService.GetToken", name).await
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
        let create = CreateEnrollmentCodeRequest {
            parent: parent.to_owned(),
            enrollment_code: Some(code),
            acknowledge_weak: true,
            ..Default::default()
        };
        let method = "EnrollmentCodeService.CreateEnrollmentCode";
        self.admin.call_typed(method, &create).await
    }

    /// Returns the user ids on the class's roster.
    pub async fn roster(&self) -> Vec<String> {
        let mut users = Vec::new();
        let mut page_token = String::new();
        loop {
            let list = json!({"parent": self.class, "page_size": 1_000, "page_token": page_token});
            let list = self.teacher.ask("MemberService.ListClassMembers", list);
            let page: ListClassMembersResponse = list.await;
            users.extend(page.members.into_iter().map(|member| member.user));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return users;
            }
        }
    }

    fn page(parent: &str, filter: &str) -> Value {
        json!({"parent": parent, "page_size": 1_000, "filter": filter})
    }

    /// Returns the organization's students.
    pub async fn students(&self) -> Vec<Member> {
        let list = Self::page(&self.organization, "role = \"STUDENT\"");
        let list = self
            .admin
            .ask("MemberService.ListOrganizationMembers", list);
        let page: ListOrganizationMembersResponse = list.await;
        page.members
    }

    /// Returns the class's waiting requests.
    pub async fn waiting(&self) -> Vec<JoinRequest> {
        let list = Self::page(&self.class, "state = \"PENDING\"");
        let list = self
            .co_teacher
            .ask("JoinRequestService.ListJoinRequests", list);
        let page: ListJoinRequestsResponse = list.await;
        page.join_requests
    }

    /// Returns the organization's seats.
    pub async fn seats(&self) -> SeatUsage {
        let name = json!({"name": format!("{}/seatUsage", self.organization)});
        self.admin
            .ask("OrganizationService.GetSeatUsage", name)
            .await
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
        let service = self.user_with(Claims {
            scopes: &["homeroom.admit"],
            ..Claims::of("invitations")
        });
        let admit = json!({
            "redemption": format!("{}/redemptions/{}", school.organization, self.new_id()),
            "invitation": invitation,
            "epoch": epoch,
            "parent": school.class,
            "user": {"user": user},
            "route": "ADMIT_AT_ONCE",
            "method": "CLASS_CODE",
            "invitation_issue_time": self.now().to_rfc3339(),
        });
        let answer: AdmitResponse = service.ask("AdmissionService.Admit", admit).await;
        answer.admission.unwrap()
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
    /// Removes a user from the organization; leaves it if that is the acting user.
    pub async fn leave(&self, organization: &str, user: &str) {
        let name = json!({"name": format!("{organization}/members/{user}")});
        let method = "MemberService.RemoveOrganizationMember";
        self.done(method, name).await;
    }

    /// Redeems for the acting user.
    pub async fn redeem(&self, credential: &str) -> Result<RedeemResponse, Status> {
        self.redeem_with(RedeemRequest {
            credential: credential.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// Redeems with this request, and again while the result is unknown or the service asks for a
    /// retry.
    ///
    /// # Panics
    /// Panics if there is no answer within two minutes.
    pub async fn redeem_at_last(&self, request: RedeemRequest) -> Result<RedeemResponse, Status> {
        let answered = async {
            loop {
                // Sometimes tonic's channel never ends a call whose connection is gone.
                let call = self.redeem_with(request.clone());
                let delay = match tokio::time::timeout(CALL_MAX, call).await {
                    Ok(Err(status)) if !crate::is_final(status.code()) => {
                        let retry = crate::details(&status).retry_info().cloned();
                        retry.and_then(|retry| retry.retry_delay)
                    }
                    Ok(answer) => return answer,
                    Err(_) => None,
                };
                tokio::time::sleep(delay.unwrap_or(PAUSE).min(PAUSE_MAX)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, answered).await;
        waited.expect("an answer within two minutes")
    }

    /// Redeems with this request.
    pub async fn redeem_with(&self, request: RedeemRequest) -> Result<RedeemResponse, Status> {
        self.call_typed("RedemptionService.Redeem", &request).await
    }

    /// Previews for the acting user.
    pub async fn preview(&self, credential: &str) -> Result<PreviewRedemptionResponse, Status> {
        let preview = PreviewRedemptionRequest {
            credential: credential.to_owned(),
            ..Default::default()
        };
        let method = "RedemptionService.PreviewRedemption";
        self.call_typed(method, &preview).await
    }
}
