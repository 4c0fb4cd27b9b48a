//! `ListRefusedAttempts`: newest first, for administrators and operators.

use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind, Filter},
};

use super::{
    App,
    conditions::{bound, check_operators, only},
    rules,
};
use crate::store::{RefusedAttempt, RefusedAttemptFilter};

const FIELDS: &[(&str, FieldKind)] = &[
    ("user", FieldKind::Text),
    ("reason", FieldKind::Text),
    ("create_time", FieldKind::Time),
];

impl App {
    /// Lists the refused attempts of an organization, or with None all of them. `INVALID_FILTER`,
    /// `INVALID_PAGE_TOKEN`; then as [`App::authorize_list`].
    pub async fn list_refused_attempts(
        &self,
        caller: &Caller,
        parent: Option<&Place>,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<(Vec<RefusedAttempt>, String)> {
        let of = parent.map(Place::to_string).unwrap_or_default();
        let list = format!("ListRefusedAttempts {of} {filter}");
        let page = self.paging.parse(page_size, page_token, &list)?;
        let conditions = Filter::parse(filter, FIELDS)?.0;
        check_operators(&conditions)?;
        let before = page.cursor_as(0)?;
        self.authorize_list(caller, parent, rules::LIST_REFUSED_ATTEMPTS)
            .await?;
        let mut wanted = RefusedAttemptFilter {
            organization: parent.map(|place| place.organization().clone()),
            ..RefusedAttemptFilter::default()
        };
        if !conditions.iter().all(|one| narrow(&mut wanted, one)) {
            return Ok((Vec::new(), String::new()));
        }
        let rows = self
            .store
            .read()
            .await?
            .list_refused_attempts(&wanted, before, page.size + 1)
            .await?;
        Ok(self.cut(rows, page.size, &list, |row| row.id))
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
