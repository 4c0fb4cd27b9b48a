//! `AuditService`.

use homeroom_api::invitations::v1::{ListAuditEntriesRequest, ListAuditEntriesResponse};

use super::{
    Method,
    composer::{Caller, Composer, Request},
    read,
};

const SERVICE: &str = "homeroom.invitations.v1.AuditService";

pub(super) const METHODS: &[Method] = &[Method::new(SERVICE, "ListAuditEntries", 2, list)
    .learning(|world, answer| {
        let page: ListAuditEntriesResponse = read(answer);
        world
            .page_tokens
            .insert("audit entries".to_owned(), page.next_page_token);
    })];

fn list(composer: &mut Composer<'_>) -> Request {
    let (parent, caller) = if composer.dice.chance(10) {
        ("organizations/-".to_owned(), Caller::Platform)
    } else {
        (composer.place(), composer.staff())
    };
    let subject = format!("subject = \"{}\"", composer.invitation());
    let message = ListAuditEntriesRequest {
        parent,
        page_size: composer.page_size(),
        page_token: composer.page_token("audit entries"),
        filter: composer.filter(&[&subject, "actor = nobody"]),
    };
    Request::new(caller, &message)
}
