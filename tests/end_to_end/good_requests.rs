//! One valid request for each RPC of the contract, for tables that change one field.

use homeroom_tests::Claims;
use serde_json::Value;

use crate::authorization::{INVITATIONS, MEMBERSHIP, Opens, Row};

/// A valid request for an RPC; the table then spoils one field at a time.
pub(crate) struct GoodRequest {
    pub(crate) method: String,
    pub(crate) caller: Claims<'static>,
    pub(crate) body: Value,
}

const SOME_ID: &str = "01900000-0000-7000-8000-00000000000a";

/// The school's existing resources; `admin` may do anything with them.
pub(crate) struct Existing {
    pub(crate) token: String,
    pub(crate) enrollment_code: String,
    pub(crate) join_request: String,
}

impl Existing {
    fn fill(&self, body: &str) -> Value {
        let organization = "organizations/hamilton";
        let redemption = format!("{organization}/redemptions/{SOME_ID}");
        let values = [
            ("$organization_id", "another"),
            ("$organization", organization),
            ("$class_id", "physics"),
            ("$class", "organizations/hamilton/classes/biology"),
            ("$owner", "admin"),
            ("$student", "student-0"),
            ("$token", &self.token),
            ("$code", &self.enrollment_code),
            ("$typed", "PHYSICS 7"),
            ("$redemption", &redemption),
            ("$request", &self.join_request),
        ];
        let filled = values
            .into_iter()
            .fold(body.to_owned(), |body, (name, value)| {
                body.replace(name, value)
            });
        let mut body = serde_json::from_str(&filled).unwrap();
        let_change(&mut body);
        body
    }
}

/// Removes the fields by which the requests of the table of authorization change nothing.
fn let_change(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            fields.retain(|name, _| name != "etag" && name != "validate_only");
            fields.values_mut().for_each(let_change);
        }
        Value::Array(rows) => rows.iter_mut().for_each(let_change),
        _ => {}
    }
}

/// Returns a caller whom the row allows the call.
fn caller(row: &Row) -> Claims<'static> {
    let scopes = row.scopes;
    match row.opens {
        Opens::Scope if scopes.contains(&"homeroom.act_as") => Claims {
            scopes: &["homeroom.act_as", "homeroom.vouch", "homeroom.forward_ip"],
            ..Claims::of("lms")
        },
        Opens::Scope => Claims {
            scopes,
            ..Claims::of("platform")
        },
        Opens::Person => Claims::of("student-1"),
        _ => Claims::of("admin"),
    }
}

/// Returns a valid request for each RPC of the contract: that of its last row for services that act for people, or of
/// its first row.
pub(crate) fn good_requests(existing: &Existing) -> Vec<GoodRequest> {
    let mut requests: Vec<GoodRequest> = Vec::new();
    for (package, rows) in [("membership", MEMBERSHIP), ("invitations", INVITATIONS)] {
        for row in rows {
            let request = GoodRequest {
                method: format!("homeroom.{package}.v1.{}", row.method),
                caller: caller(row),
                body: existing.fill(row.body),
            };
            let known = requests
                .iter_mut()
                .find(|known| known.method == request.method);
            match known {
                None => requests.push(request),
                Some(known) if request.caller.subject == "lms" => *known = request,
                Some(_) => {}
            }
        }
    }
    requests
}
