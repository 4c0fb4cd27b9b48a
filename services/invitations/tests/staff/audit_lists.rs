//! R12: the lists of the audit trail, their readers, and their retention.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        GetClassCodeRequest, GetInviteTokenRequest, GetJoinUrlRequest, ListAuditEntriesRequest,
        audit_service_server::AuditService, class_code_service_server::ClassCodeService,
        join_url_service_server::JoinUrlService, token_service_server::TokenService,
    },
};
use homeroom_invitations::{app::retention::AUDIT_ENTRY_DAYS, grpc::AuditHandlers};
use homeroom_kit::auth::{Caller, Scope};

use crate::{
    audit_trail::{ORGANIZATION, call, called, entries, list, of},
    office::{CLASS, Office, by, reason},
};

#[tokio::test]
async fn r12_entries_are_for_those_who_may_change_invitations_and_for_operators() {
    let office = Office::open().await;
    let get = GetInviteTokenRequest {
        name: format!("{ORGANIZATION}/inviteToken"),
    };
    call!(office.tokens.get_invite_token(get));
    for parent in [ORGANIZATION, CLASS] {
        for user in ["co-teacher", "student"] {
            let refused = list(&office, user, of(parent, "")).await;
            assert_eq!(reason(refused), ErrorReason::RoleRequired, "{user}");
        }
    }
    let hidden = list(&office, "stranger", of(ORGANIZATION, "")).await;
    assert_eq!(reason(hidden), ErrorReason::OrganizationNotFound);
    let of_class = list(&office, "owner", of(CLASS, "")).await.unwrap();
    assert!(of_class.audit_entries.is_empty(), "the organization's own");
    let all = of("organizations/-", "");
    let refused = list(&office, "owner", all.clone()).await;
    assert_eq!(reason(refused), ErrorReason::ScopeMissing);
    let mut request = by("operator", all);
    let caller = request.extensions_mut().get_mut::<Caller>().unwrap();
    *caller = caller.clone().with_scopes([Scope::Platform]);
    let handlers = AuditHandlers(office.app.clone());
    let all = handlers.list_audit_entries(request).await.unwrap();
    assert_eq!(all.into_inner().audit_entries.len(), 1);
}

#[tokio::test]
async fn r12_entries_are_listed_in_pages_and_filtered() {
    let office = Office::open().await;
    let code = || GetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
    };
    for _ in 0..3 {
        call!(office.class_codes.get_class_code(code()));
    }
    office.advance(TimeDelta::seconds(1));
    let read = office.class_codes.get_class_code(by("co-teacher", code()));
    read.await.unwrap();
    let get = GetJoinUrlRequest {
        name: format!("{CLASS}/joinUrl"),
    };
    call!(office.join_urls.get_join_url(get));
    let first = ListAuditEntriesRequest {
        page_size: 3,
        ..of(CLASS, "")
    };
    let page = list(&office, "owner", first.clone()).await.unwrap();
    assert_eq!(page.audit_entries.len(), 3);
    assert_eq!(page.audit_entries[0].method, "homeroom/GetJoinUrl");
    let next = ListAuditEntriesRequest {
        page_token: page.next_page_token,
        ..first
    };
    let page = list(&office, "owner", next.clone()).await.unwrap();
    assert_eq!(
        (page.audit_entries.len(), page.next_page_token.as_str()),
        (2, "")
    );
    let other = ListAuditEntriesRequest {
        parent: ORGANIZATION.to_owned(),
        ..next
    };
    let refused = list(&office, "owner", other).await;
    assert_eq!(reason(refused), ErrorReason::InvalidPageToken);
    let subject = format!("subject = \"{CLASS}/classCode\"");
    for (filter, count) in [
        ("actor = co-teacher", 1),
        ("method = homeroom/GetClassCode", 3),
        (&subject, 4),
        ("subject = nothing", 0),
        ("subject = \"\"", 0),
        ("actor = owner AND actor = co-teacher", 0),
        ("actor = owner AND method = homeroom/GetJoinUrl", 1),
        ("create_time >= \"2027-01-15T08:00:01Z\"", 2),
        ("create_time < \"2027-01-15T08:00:01Z\"", 3),
    ] {
        let page = list(&office, "owner", of(CLASS, filter)).await.unwrap();
        assert_eq!(page.audit_entries.len(), count, "{filter}");
    }
    for filter in [
        "actor != owner",
        "code = x",
        "create_time = \"2027-01-15T08:00:01Z\"",
    ] {
        let refused = list(&office, "owner", of(CLASS, filter)).await;
        assert_eq!(reason(refused), ErrorReason::InvalidFilter, "{filter}");
    }
}

#[tokio::test]
async fn r12_entries_are_kept_for_400_days() {
    let office = Office::open().await;
    let get = GetClassCodeRequest {
        name: format!("{CLASS}/classCode"),
    };
    call!(office.class_codes.get_class_code(get));
    office.advance(TimeDelta::days(AUDIT_ENTRY_DAYS));
    assert_eq!(office.app.prune_logs_once().await.unwrap(), 0);
    office.advance(TimeDelta::milliseconds(1));
    assert_eq!(office.app.prune_logs_once().await.unwrap(), 1);
    assert!(entries(&office).await.is_empty());
}
