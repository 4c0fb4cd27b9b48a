//! R12: the trail says who read or changed which invitation, and holds no secret.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        BatchCreateTokensRequest, CreateEnrollmentCodeRequest, CreateTokenRequest,
        DeleteEnrollmentCodeRequest, EnrollmentCode, GetClassCodeRequest, GetEnrollmentCodeRequest,
        GetInviteTokenRequest, GetJoinUrlRequest, GetTokenRequest, JoinUrl,
        ListAuditEntriesRequest, ListAuditEntriesResponse, ListEnrollmentCodesRequest,
        ListTokensRequest, LockClassCodeRequest, ResetClassCodeRequest, ResetInviteTokenRequest,
        RevealTokenRequest, RevokeTokenRequest, Token, UnlockClassCodeRequest,
        UpdateEnrollmentCodeRequest, UpdateJoinUrlRequest, audit_service_server::AuditService,
        class_code_service_server::ClassCodeService,
        enrollment_code_service_server::EnrollmentCodeService,
        join_url_service_server::JoinUrlService, token_service_server::TokenService,
    },
};
use homeroom_invitations::grpc::AuditHandlers;
use homeroom_kit::{auth::Caller, database::Url};
use prost_types::FieldMask;
use tonic::Status;

use crate::office::{CLASS, Office, by, by_owner, reason, request_id};

pub(crate) const ORGANIZATION: &str = "organizations/hamilton";

/// Returns a request of a class's owner, from a service.
pub(crate) fn called<T>(message: T) -> tonic::Request<T> {
    let mut request = by_owner(message);
    let caller = request.extensions_mut().get_mut::<Caller>().unwrap();
    "lms".clone_into(&mut caller.subject);
    "call-7".clone_into(&mut caller.request_id);
    let method = std::any::type_name::<T>();
    let method = method.rsplit("::").next().unwrap();
    caller.method = format!("/homeroom/{}", method.trim_end_matches("Request"));
    request
}

pub(crate) async fn list(
    office: &Office,
    user: &str,
    message: ListAuditEntriesRequest,
) -> Result<ListAuditEntriesResponse, Status> {
    let handlers = AuditHandlers(office.app.clone());
    let answer = handlers.list_audit_entries(by(user, message)).await;
    answer.map(tonic::Response::into_inner)
}

pub(crate) fn of(parent: &str, filter: &str) -> ListAuditEntriesRequest {
    ListAuditEntriesRequest {
        parent: parent.to_owned(),
        filter: filter.to_owned(),
        ..ListAuditEntriesRequest::default()
    }
}

/// Returns the methods and subjects of all entries so far, oldest first.
pub(crate) async fn entries(office: &Office) -> Vec<(String, String)> {
    let page = list(office, "owner", of(ORGANIZATION, "")).await.unwrap();
    let entries = page.audit_entries.into_iter().rev();
    entries.map(|entry| (entry.method, entry.subject)).collect()
}

/// Returns every text of the tables that must hold no secret.
async fn kept(office: &Office) -> String {
    let Url::Sqlite(path) = office.database_url() else {
        panic!("these tests run on SQLite");
    };
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    let query = "SELECT group_concat(entry_id || organization_id || class_id || actor || calling_service || \
        method || subject || request_id || create_time, '|') FROM audit_entries";
    sqlx::query_scalar(query).fetch_one(&pool).await.unwrap()
}

macro_rules! call {
    ($office:ident . $handlers:ident . $method:ident ( $message:expr )) => {{
        $office.advance(TimeDelta::milliseconds(1));
        $office
            .$handlers
            .$method(called($message))
            .await
            .unwrap()
            .into_inner()
    }};
}

pub(crate) use call;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story with every method in it")]
async fn r12_every_change_and_every_read_of_a_secret_is_one_entry_without_the_secret() {
    let office = Office::open().await;
    let class_code = format!("{CLASS}/classCode");
    let join_url = format!("{CLASS}/joinUrl");
    let invite_token = format!("{ORGANIZATION}/inviteToken");
    let mut secrets = Vec::new();

    let name = || class_code.clone();
    let get = || GetClassCodeRequest { name: name() };
    secrets.push(call!(office.class_codes.get_class_code(get())).code);
    secrets.push(call!(office.class_codes.get_class_code(get())).code);
    let reset = ResetClassCodeRequest {
        name: name(),
        ..Default::default()
    };
    let reset = call!(office.class_codes.reset_class_code(reset));
    secrets.push(reset.class_code.unwrap().code);
    let lock = LockClassCodeRequest {
        name: name(),
        ..Default::default()
    };
    call!(office.class_codes.lock_class_code(lock));
    let unlock = UnlockClassCodeRequest {
        name: name(),
        ..Default::default()
    };
    call!(office.class_codes.unlock_class_code(unlock));

    let get = GetJoinUrlRequest {
        name: join_url.clone(),
    };
    secrets.push(call!(office.join_urls.get_join_url(get)).url);
    let switch = UpdateJoinUrlRequest {
        join_url: Some(JoinUrl {
            name: join_url.clone(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["enabled".to_owned()],
        }),
        ..Default::default()
    };
    call!(office.join_urls.update_join_url(switch));

    let get = GetInviteTokenRequest {
        name: invite_token.clone(),
    };
    secrets.push(call!(office.tokens.get_invite_token(get)).token);
    let reset = ResetInviteTokenRequest {
        name: invite_token.clone(),
        ..Default::default()
    };
    let reset = call!(office.tokens.reset_invite_token(reset));
    secrets.push(reset.invite_token.unwrap().token);

    let create = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token::default()),
        ..Default::default()
    };
    let token = call!(office.tokens.create_token(create));
    secrets.push(token.phrase.clone());
    let reveal = RevealTokenRequest {
        name: token.name.clone(),
    };
    let revealed = call!(office.tokens.reveal_token(reveal));
    secrets.push(revealed.token.unwrap().invite_url);
    // The phrase is masked: no entry is written.
    let get = GetTokenRequest {
        name: token.name.clone(),
    };
    call!(office.tokens.get_token(get));
    let masked = ListTokensRequest {
        parent: CLASS.to_owned(),
        ..Default::default()
    };
    call!(office.tokens.list_tokens(masked));
    let revoke = RevokeTokenRequest {
        name: token.name.clone(),
        ..Default::default()
    };
    call!(office.tokens.revoke_token(revoke));

    let none = ListEnrollmentCodesRequest {
        parent: CLASS.to_owned(),
        ..Default::default()
    };
    call!(office.enrollment_codes.list_enrollment_codes(none.clone()));
    let create = CreateEnrollmentCodeRequest {
        parent: CLASS.to_owned(),
        enrollment_code: Some(EnrollmentCode {
            code: "ORCHID 2026".to_owned(),
            ..Default::default()
        }),
        acknowledge_weak: true,
        ..Default::default()
    };
    let code = call!(office.enrollment_codes.create_enrollment_code(create));
    secrets.extend([
        code.code.clone(),
        code.full_code.clone(),
        "ORCHID".to_owned(),
    ]);
    let get = GetEnrollmentCodeRequest {
        name: code.name.clone(),
    };
    call!(office.enrollment_codes.get_enrollment_code(get));
    call!(office.enrollment_codes.list_enrollment_codes(none));
    let change = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode {
            name: code.name.clone(),
            code: "TULIP 2026".to_owned(),
            ..Default::default()
        }),
        acknowledge_weak: true,
        ..Default::default()
    };
    let changed = call!(office.enrollment_codes.update_enrollment_code(change));
    secrets.extend([changed.code, "TULIP".to_owned()]);
    let delete = DeleteEnrollmentCodeRequest {
        name: code.name.clone(),
        ..Default::default()
    };
    call!(office.enrollment_codes.delete_enrollment_code(delete));

    let expected = [
        ("GetClassCode", class_code.as_str()),
        ("GetClassCode", &class_code),
        ("ResetClassCode", &class_code),
        ("LockClassCode", &class_code),
        ("UnlockClassCode", &class_code),
        ("GetJoinUrl", &join_url),
        ("UpdateJoinUrl", &join_url),
        ("GetInviteToken", &invite_token),
        ("ResetInviteToken", &invite_token),
        ("CreateToken", &token.name),
        ("RevealToken", &token.name),
        ("RevokeToken", &token.name),
        ("CreateEnrollmentCode", &code.name),
        ("GetEnrollmentCode", &code.name),
        ("ListEnrollmentCodes", CLASS),
        ("UpdateEnrollmentCode", &code.name),
        ("DeleteEnrollmentCode", &code.name),
    ]
    .map(|(method, subject)| (format!("homeroom/{method}"), subject.to_owned()));
    assert_eq!(entries(&office).await, expected);

    let kept = kept(&office).await.to_ascii_lowercase();
    assert!(kept.contains("call-7"));
    for secret in secrets {
        assert!(!secret.is_empty());
        let last = secret.rsplit('/').next().unwrap();
        for form in [
            last.to_owned(),
            last.replace('-', ""),
            last.replace(' ', "-"),
        ] {
            assert!(!kept.contains(&form.to_ascii_lowercase()), "{form}");
        }
    }
}

#[tokio::test]
async fn r12_an_entry_tells_who_by_which_service_in_which_call() {
    let office = Office::open().await;
    let get = GetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
    };
    call!(office.class_codes.get_class_code(get));
    let page = list(&office, "owner", of(CLASS, "")).await.unwrap();
    let entry = &page.audit_entries[0];
    assert!(
        entry
            .name
            .starts_with("organizations/hamilton/auditEntries/")
    );
    assert_eq!(entry.class, CLASS);
    assert_eq!(
        (entry.actor.as_str(), entry.calling_service.as_str()),
        ("owner", "lms")
    );
    assert_eq!(entry.request_id, "call-7");
    assert_eq!(
        entry.create_time,
        Some(homeroom_kit::clock::to_timestamp(office.now()))
    );
}

#[tokio::test]
async fn r12_a_batch_has_an_entry_for_each_invitation_and_its_retry_one_for_what_it_shows_again() {
    let office = Office::open().await;
    let batch = BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        tokens: vec![Token::default(); 3],
        request_id: request_id(1),
    };
    call!(office.tokens.batch_create_tokens(batch.clone()));
    assert_eq!(entries(&office).await.len(), 3);
    call!(office.tokens.batch_create_tokens(batch));
    let all = entries(&office).await;
    assert_eq!(all.len(), 4);
    assert_eq!(all[3].1, CLASS, "one, which names the place");
}

#[tokio::test]
async fn r12_what_is_refused_or_undone_leaves_no_entry() {
    let office = Office::open().await;
    let name = format!("{CLASS}/classCode");
    let get = || GetClassCodeRequest { name: name.clone() };
    let refused = office
        .class_codes
        .get_class_code(by("student", get()))
        .await;
    assert_eq!(reason(refused), ErrorReason::RoleRequired);
    let stale = ResetClassCodeRequest {
        name: name.clone(),
        etag: "\"99\"".to_owned(),
        ..Default::default()
    };
    let refused = office.class_codes.reset_class_code(by_owner(stale)).await;
    assert_eq!(reason(refused), ErrorReason::EtagMismatch);
    assert!(entries(&office).await.is_empty());
}

#[tokio::test]
async fn r12_no_secret_is_told_where_no_entry_can_be_written() {
    let office = Office::open().await;
    let get = || GetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
    };
    call!(office.class_codes.get_class_code(get()));
    office
        .tamper("ALTER TABLE audit_entries RENAME TO gone")
        .await;
    for _ in 0..2 {
        let answer = office.class_codes.get_class_code(by_owner(get())).await;
        assert_eq!(answer.unwrap_err().code(), tonic::Code::Internal);
    }
    let reset = ResetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
        ..Default::default()
    };
    let answer = office.class_codes.reset_class_code(by_owner(reset)).await;
    assert!(answer.is_err(), "nor is anything changed");
    office
        .tamper("ALTER TABLE gone RENAME TO audit_entries")
        .await;
    call!(office.class_codes.get_class_code(get()));
    assert_eq!(entries(&office).await.len(), 2);
    assert_eq!(office.event_types().await, ["class_code.created"]);
}

#[tokio::test]
async fn r12_reads_that_arrive_together_are_all_entered() {
    let office = Office::open().await;
    let get = || {
        let name = format!("{CLASS}/classCode");
        office
            .class_codes
            .get_class_code(called(GetClassCodeRequest { name }))
    };
    get().await.unwrap();
    for answer in futures::future::join_all((0..40).map(|_| get())).await {
        answer.unwrap();
    }
    assert_eq!(entries(&office).await.len(), 41);
}
