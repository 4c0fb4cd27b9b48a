//! Credentials that open nothing get one answer, identical in every byte (R5): unknown, reset,
//! revoked, switched off or deleted, of every kind, by Redeem and by `PreviewRedemption`, for
//! everyone and for staff.

mod spoilt;

use std::collections::BTreeMap;

use homeroom_api::{
    common::v1::User,
    invitations::v1::{PreviewRedemptionRequest, RedeemRequest},
};
use homeroom_attacks::{
    frames::{Coded, END_STREAM, HEADERS, call, fields, whole_message},
    wire::{Frame, answer},
};
use homeroom_tests::{Claims, Homeroom, on_both_engines, person, reason};
use prost::Message as _;
use spoilt::Spoilt;

const REDEEM: &str = "/homeroom.invitations.v1.RedemptionService/Redeem";
const PREVIEW: &str = "/homeroom.invitations.v1.RedemptionService/PreviewRedemption";
/// The index of `date` in the static table (RFC 7541, appendix A), the one field that changes with
/// time.
const DATE: usize = 33;

on_both_engines! {
async fn r5_what_opens_nothing_has_one_answer_to_the_byte(homeroom) {
    let credentials = spoilt::create(homeroom).await;
    // The distinct answers, and the attempts that got each.
    let mut answers: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    let mut attempts = Attempts { homeroom, count: 0 };
    for Spoilt { what, organization, credential } in &credentials {
        for (how, frames) in attempts.all(organization, credential).await {
            answers.entry(flat(&frames)).or_default().push(format!("{what}, {how}"));
        }
    }
    let mut told: Vec<(usize, String)> = answers
        .iter()
        .map(|(bytes, who)| (who.len(), format!("{}: {who:?}", bytes.escape_ascii())))
        .collect();
    told.sort();
    assert_eq!(told.len(), 1, "more than one answer, such as: {}", told[0].1);
    assert_eq!(told[0].0, credentials.len() * HOWS);

    // The answer is the one that the contract names.
    let refused = homeroom.user("guest").redeem(&credentials[0].credential).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::NotFound, "CODE_NOT_USABLE"));
}
}

on_both_engines! {
async fn r5_the_comparison_sees_what_differs(homeroom) {
    let school = homeroom.school().await;
    let living = school.class_code().await.code;
    let mut attempts = Attempts { homeroom, count: 0 };
    let mut answer = async |credential: &str| flat(&attempts.redeem("", credential, "").await);
    let refused = answer("ABCD-EFGH-JKMN").await;
    assert_eq!(refused, answer("ABCD-EFGH-JKMP").await);
    assert_ne!(refused, answer(&living).await);
    homeroom.advance(chrono::TimeDelta::days(31));
    let token = school.token(homeroom_api::invitations::v1::Token::default()).await;
    homeroom.advance(chrono::TimeDelta::days(31));
    // After its end the token is still living, so the refusal gives its reason.
    assert_ne!(refused, answer(&token.phrase).await);
}
}

/// The number of ways in which each credential is tried.
const HOWS: usize = 7;

/// Attempts, each by a person who has not tried before, so that the limiter does not interfere.
struct Attempts<'a> {
    homeroom: &'a Homeroom,
    count: u32,
}

impl Attempts<'_> {
    async fn all(
        &mut self,
        organization: &str,
        credential: &str,
    ) -> Vec<(&'static str, Vec<Frame>)> {
        let request_id = self.homeroom.new_id().to_string();
        let named = self.redeem(organization, credential, "").await;
        let preview_named = self.preview("", organization, credential).await;
        let by_anyone = self.preview("", "", credential).await;
        let by_staff = self.preview("admin", "", credential).await;
        let redeem = self.redeem("", credential, "").await;
        let first = self.redeem("", credential, &request_id).await;
        // This repeats the same person, id and body.
        self.count -= 1;
        let retried = self.redeem("", credential, &request_id).await;
        vec![
            ("redeemed", redeem),
            ("redeemed with a request id", first),
            ("redeemed with it again", retried),
            ("redeemed, its organization named", named),
            ("previewed, its organization named", preview_named),
            ("previewed", by_anyone),
            ("previewed by staff", by_staff),
        ]
    }

    fn somebody(&mut self) -> User {
        self.count += 1;
        person(&format!("guest-{:06}", self.count))
    }

    async fn redeem(
        &mut self,
        organization: &str,
        credential: &str,
        request_id: &str,
    ) -> Vec<Frame> {
        let request = RedeemRequest {
            credential: credential.to_owned(),
            organization: organization.to_owned(),
            user: Some(self.somebody()),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        self.call(REDEEM, "", &request.encode_to_vec()).await
    }

    async fn preview(&mut self, acting: &str, organization: &str, credential: &str) -> Vec<Frame> {
        let request = PreviewRedemptionRequest {
            credential: credential.to_owned(),
            organization: organization.to_owned(),
            user: Some(self.somebody()),
            ..Default::default()
        };
        self.call(PREVIEW, acting, &request.encode_to_vec()).await
    }

    /// Returns the answer to a platform's call, which acts for a user if `acting` is not empty.
    async fn call(&self, path: &str, acting: &str, request: &[u8]) -> Vec<Frame> {
        // While a use is being taken, the answer is USE_IN_PROGRESS for a moment, also for a
        // deleted class (P3).
        self.homeroom.settled().await;
        let token = self.homeroom.access_token(Claims {
            scopes: &["homeroom.act_as", "homeroom.vouch"],
            ..Claims::of("platform")
        });
        let mut more = vec![("x-request-id", "the-same")];
        if !acting.is_empty() {
            more.push(("x-homeroom-user", acting));
        }
        let block = call(path, &token, &more);
        let address = self.homeroom.invitations_address;
        answer(address, &block, &whole_message(request)).await
    }
}

/// Returns the answer's bytes without the date: every header block as it was coded, and all other
/// bytes unchanged.
fn flat(frames: &[Frame]) -> Vec<u8> {
    assert!(
        frames
            .last()
            .is_some_and(|last| last.flags & END_STREAM != 0),
        "{frames:?}"
    );
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend([frame.kind, frame.flags]);
        if frame.kind != HEADERS {
            bytes.extend(&frame.payload);
            continue;
        }
        let fields = fields(&frame.payload).unwrap();
        for (name, value) in fields {
            for coded in [&name, &value] {
                match coded {
                    Coded::Bytes(_) if name == Coded::Index(DATE) => bytes.extend(b"date"),
                    Coded::Bytes(coded) => bytes.extend(coded),
                    Coded::Index(index) => bytes.extend(index.to_be_bytes()),
                }
            }
        }
    }
    bytes
}
