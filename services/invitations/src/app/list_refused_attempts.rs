//! `ListRefusedAttempts`: lists attempts newest first, for administrators and operators.

use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::Page,
};

use super::{
    App,
    conditions::{bound, only},
    lists::{Asked, Log},
    rules,
};
use crate::store::{RefusedAttempt, RefusedAttemptFilter};

const REFUSED_ATTEMPTS: Log<RefusedAttemptFilter, RefusedAttempt> = Log {
    rule: rules::LIST_REFUSED_ATTEMPTS,
    fields: &[
        ("user", FieldKind::Text),
        ("reason", FieldKind::Text),
        ("create_time", FieldKind::Time),
    ],
    all_of: |parent| RefusedAttemptFilter {
        organization: parent.map(|place| place.organization().clone()),
        ..RefusedAttemptFilter::default()
    },
    narrow,
    read: |repository, wanted, before, limit| {
        repository.list_refused_attempts(wanted, before, limit)
    },
    id: |row| row.id,
};

impl App {
    /// Lists the refused attempts of an organization; with None, all of them. Fails with `INVALID_FILTER`,
    /// `INVALID_PAGE_TOKEN`, or as [`App::authorize_list`].
    pub async fn list_refused_attempts(
        &self,
        caller: &Caller,
        parent: Option<&Place>,
        asked: Asked<'_>,
    ) -> Result<Page<RefusedAttempt>> {
        self.list_log(&REFUSED_ATTEMPTS, caller, parent, asked)
            .await
    }
}

fn narrow(wanted: &mut RefusedAttemptFilter, condition: &Condition) -> bool {
    let text = condition.value.text();
    match condition.field.as_str() {
        "user" => UserId::parse(text).is_ok_and(|user| only(&mut wanted.user, user)),
        "reason" => {
            ErrorReason::from_str_name(text).is_some_and(|reason| only(&mut wanted.reason, reason))
        }
        _ => bound(&mut wanted.from, &mut wanted.till, condition),
    }
}
