//! Data is kept for as long as the operator sets, and what a promise rests on for ever (F9).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ListEventsResponse,
    invitations::v1::{Redemption, redemption::State},
    membership::v1::Member,
};
use homeroom_tests::{
    Claims, Clients, School, databases::Reader, details, on_both_engines, processes::Service,
    reason, timestamp,
};
use serde_json::json;
use tonic::Code;

use crate::{assert_audited, assert_audited_soon};

const NAME: &str = "Ada Lovelace";
const SERVICES: [&str; 2] = ["membership", "invitations"];

async fn list(
    caller: &Clients,
    service: &str,
    parent: &str,
    token: &str,
    size: i32,
) -> ListEventsResponse {
    let method = format!("{service}.v1.EventService.ListEvents");
    let page = json!({"parent": parent, "page_token": token, "page_size": size});
    caller.ask(&method, page).await
}

/// Approves every request that waits.
async fn approve(school: &School) {
    for request in school.waiting().await {
        let name = json!({"name": request.name});
        school
            .teacher
            .done("JoinRequestService.ApproveJoinRequest", name)
            .await;
    }
}

on_both_engines! {
async fn f9_r11_a_feed_says_how_far_back_it_reaches_and_whom_it_left_behind(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    homeroom.outcome("ada", &code).await;
    // Given a reader that has read everything so far, and one that has read one event,
    let mut tokens = Vec::new();
    for service in SERVICES {
        let all = list(&school.teacher, service, &school.class, "", 1_000).await;
        assert_eq!(all.pruned_till_time, None);
        let one = list(&school.teacher, service, &school.class, "", 1).await;
        tokens.push((all.next_page_token, one.next_page_token));
    }
    let till = homeroom.now();
    homeroom.advance(TimeDelta::days(30) + TimeDelta::microseconds(1));
    homeroom.outcome("bob", &code).await;
    homeroom.settled().await;

    // when everything older than 30 days is deleted,
    homeroom.delete_what_is_older(30, 100).await;

    for (service, (all, one)) in SERVICES.into_iter().zip(tokens) {
        // then the first reader misses nothing,
        let rest = list(&school.teacher, service, &school.class, &all, 1_000).await;
        assert!(!rest.events.is_empty());
        assert_eq!(rest.pruned_till_time, Some(timestamp(till)));
        // a new one gets the same events, which are all that are kept,
        let kept = list(&school.teacher, service, &school.class, "", 1_000).await;
        assert_eq!(kept, rest);
        // and the second is told that it has missed some, whether it lists or watches.
        let page = json!({"parent": school.class, "page_token": one});
        for method in ["ListEvents", "WatchEvents"] {
            let method = format!("{service}.v1.EventService.{method}");
            let refused = school.teacher.call(&method, &page).await.unwrap_err();
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "PAGE_TOKEN_EXPIRED"));
            let details = details(&refused);
            let metadata = &details.error_info().unwrap().metadata;
            assert_eq!(metadata["pruned_till_time"], "2026-09-01T08:00:00.000000Z");
        }
    }
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn f9_p1_p4_r6_old_redemptions_lose_names_and_keep_their_outcomes(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    // Given Ada, who came in by a code, Kim, who was let in from the queue, Pat, who still waits,
    let ada = homeroom.user_with(Claims { name: NAME, email: "ada@hamiltonschools.org", email_verified: true, external_id: "S-0815", ..Claims::of("ada") });
    let redemption = ada.redeem(&code).await.unwrap().redemption;
    let url = school.join_url().await.url;
    homeroom.queued("kim", &url).await;
    approve(&school).await;
    // and Zoe, who was denied;
    let zoe = homeroom.user_with(Claims { name: "Zoe Stranger", ..Claims::of("zoe") });
    zoe.redeem(&url).await.unwrap();
    let denied = school.waiting().await.remove(0);
    school.teacher.done("JoinRequestService.DenyJoinRequest", json!({"name": denied.name})).await;
    assert_audited_soon(homeroom).await;
    homeroom.advance(TimeDelta::days(80));
    homeroom.queued("pat", &url).await;
    let holders = async |text: &str| homeroom.databases().tables_that_hold(text).await;
    assert_eq!(holders(NAME).await, ["membership.organization_members", "invitations.redemptions"]);

    // when what is older than 100 days is deleted,
    homeroom.advance(TimeDelta::days(21));
    let uses = school.join_url().await.use_count;
    homeroom.delete_what_is_older(30, 100).await;

    // then only the roster knows Ada's name, and the redemption says what came of it.
    for text in [NAME, "ada@hamiltonschools.org", "S-0815"] {
        assert_eq!(holders(text).await, ["membership.organization_members"]);
    }
    assert!(holders("Zoe Stranger").await.is_empty());
    let read: Redemption = ada.ask("RedemptionService.GetRedemption", json!({"name": redemption})).await;
    assert_eq!((read.state(), read.user.as_str()), (State::Committed, "ada"));
    let member = json!({"name": format!("{}/members/ada", school.class)});
    let member: Member = school.teacher.ask("MemberService.GetClassMember", member).await;
    let provenance = member.provenance.unwrap();
    assert_eq!((member.display_name.as_str(), provenance.redemption), (NAME, redemption));
    // Counts and waiting requests are as before, and every invariant holds.
    assert_eq!(school.join_url().await.use_count, uses);
    assert_eq!(homeroom.outcome("ada", &code).await.as_str_name(), "ALREADY_MEMBER");
    assert_audited(homeroom).await;
    approve(&school).await;
    assert_audited_soon(homeroom).await;
    // Whoever was forgotten so can be erased.
    let erase = json!({"name": "users/ada"});
    homeroom.platform().done("invitations.v1.UserService.EraseUser", erase).await;
    for text in [NAME, "ada@hamiltonschools.org", "S-0815"] {
        assert!(holders(text).await.is_empty());
    }
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn r11_a_reader_ahead_of_a_restored_database_is_told_to_begin_again(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    homeroom.outcome("ada", &code).await;
    for service in Service::BOTH {
        // Given a reader that has read everything, and a database restored to the moment before the first event,
        let read = list(&school.teacher, service.name(), &school.class, "", 1_000).await;
        assert!(!read.events.is_empty());
        let mut database = Reader::open(homeroom.databases().url_of(service)).await.unwrap();
        database.execute("DELETE FROM events").await.unwrap();

        // when it goes on, then it is told, whether it lists or watches,
        let page = json!({"parent": school.class, "page_token": read.next_page_token});
        for method in ["ListEvents", "WatchEvents"] {
            let method = format!("{}.v1.EventService.{method}", service.name());
            let refused = school.teacher.call(&method, &page).await.unwrap_err();
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
        }
    }
    // and if it begins again it gets the events that have the positions of those that it has read.
    homeroom.outcome("bob", &code).await;
    homeroom.settled().await;
    for service in Service::BOTH {
        let again = list(&school.teacher, service.name(), &school.class, "", 1_000).await;
        assert!(!again.events.is_empty());
    }
}
}
