//! Every correct and incorrect use of a secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use homeroom_api::invitations::v1::Token;
use homeroom_tests::{
    Claims, Clients, School,
    processes::{Processes, Service},
    reason,
};
use serde_json::{Value, json};
use tonic::Status;
use uuid::Uuid;

use crate::ways::Ways;

/// The secrets that were returned or typed, by name, and the refusals.
#[derive(Default)]
pub(crate) struct Canaries {
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) refusals: String,
    pub(crate) reasons: BTreeSet<String>,
}

impl Canaries {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        let before = self.secrets.insert(name.to_owned(), secret.to_owned());
        assert!(before.is_none_or(|before| before == secret), "{name} twice");
    }

    /// Adds a secret and the URL with the same effect.
    fn add_with_url(&mut self, name: &str, secret: &str, url: &str) {
        self.add(name, secret);
        self.add(&format!("{name}'s URL"), url);
    }

    /// Records a whole refusal, including its details and trailers.
    fn refused<T>(&mut self, answer: Result<T, Status>) {
        let Err(status) = answer else {
            panic!("it must be refused");
        };
        self.reasons.insert(reason(&status));
        let details = String::from_utf8_lossy(status.details()).into_owned();
        writeln!(self.refusals, "{status:?} {details}").unwrap();
    }
}

/// Guesses that have the form of a phrase or a code, and open nothing.
const GUESSES: [&str; 4] = [
    "zebra abacus unicorn cactus",
    "ZZZZ-YYYY-XXXX",
    "HAMILTON-GUESSED-WRONGLY",
    "https://join.example/c/ZZZZ-YYYY-WWWW",
];
/// Malformed text, which nobody can have received as a secret.
const MALFORMED: [&str; 3] = [
    "\u{202e}CANARY-MALFORMED",
    "https://elsewhere.example/c/CANARY-ELSEWHERE",
    "CANARY_UNDERSCORED!",
];

/// Uses secrets in every correct and incorrect way; returns them, and the school.
pub(crate) async fn story(processes: &Processes) -> (Canaries, School) {
    let mut canaries = Canaries::default();
    let [membership, invitations] = Service::BOTH.map(|service| processes.address(service));
    let mut bearer = |user: &str, scopes: &[&str]| {
        let token = processes.callers().access_token(Claims {
            scopes,
            ..Claims::of(user)
        });
        let signature = token.rsplit('.').next().unwrap();
        canaries.add(&format!("the access token of {user}"), signature);
        Clients::connect(membership, invitations, &token)
    };
    let admin = bearer("admin", &[]);
    let platform = bearer("lms", &["homeroom.act_as", "homeroom.vouch"]);
    let ann = bearer("ann", &[]);
    let guesser = bearer("guesser", &[]);
    let stolen =
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnktc3RvbGVuIn0.Y2FuYXJ5LXN0b2xlbi1zaWduYXR1cmU";
    canaries.add("a stolen access token", stolen);

    // Create one of each kind of invitation, and tokens in a batch.
    let ways = Ways::create(processes).await;
    let Ways {
        school,
        invite_token,
        token,
        enrollment_code,
        class_code,
        join_url,
    } = &ways;
    canaries.add_with_url(
        "the invite token",
        &invite_token.token,
        &invite_token.invite_url,
    );
    canaries.add_with_url("the phrase", &token.phrase, &token.invite_url);
    canaries.add("the typed code", &enrollment_code.code);
    canaries.add("the typed code in full", &enrollment_code.full_code);
    canaries.add_with_url("the class code", &class_code.code, &class_code.join_link);
    let join_key = join_url.url.rsplit('/').next().unwrap();
    canaries.add_with_url("the join key", join_key, &join_url.url);
    let id = |number: u128| Uuid::from_u128(number).to_string();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let call = async |method: &str, body: Value| admin.call(method, &body).await;
    let done = async |method: &str, body: Value| admin.done(method, body).await;
    let rows = ["mia@hamilton.example", "no address"]
        .map(|address| json!({"token": {"assigned_email": address}}));
    let batch = json!({"parent": school.class, "requests": rows});
    let made = done("TokenService.BatchCreateTokens", batch).await;
    let first = &made["results"][0]["token"];
    canaries.add_with_url(
        "a phrase of a batch",
        &text(&first["phrase"]),
        &text(&first["inviteUrl"]),
    );
    writeln!(canaries.refusals, "{}", made["results"][1]).unwrap();

    // Retry by request id, and read the secret again.
    let create = json!({"parent": school.class, "token": {}, "request_id": id(1)});
    let first = done("TokenService.CreateToken", create.clone()).await;
    let again = done("TokenService.CreateToken", create).await;
    assert_eq!(again["phrase"], first["phrase"]);
    canaries.add_with_url(
        "a retried phrase",
        &text(&first["phrase"]),
        &text(&first["inviteUrl"]),
    );
    let other = json!({"parent": school.class, "token": {"words": 3}, "request_id": id(1)});
    canaries.refused(call("TokenService.CreateToken", other).await);

    // Type codes that are malformed, weak or duplicate, and change them.
    let code = |code: &str, acknowledge_weak: bool| json!({"parent": school.class, "enrollment_code": {"code": code}, "acknowledge_weak": acknowledge_weak});
    for (typed, acknowledge_weak) in [
        (enrollment_code.code.as_str(), true),
        ("CANARY_MALFORMED_CODE", true),
        ("CANARYWE", false),
        (&"CANARY-TOO-LONG".repeat(20), true),
    ] {
        canaries.add(&format!("the refused code of {} bytes", typed.len()), typed);
        let create = code(typed, acknowledge_weak);
        canaries.refused(call("EnrollmentCodeService.CreateEnrollmentCode", create).await);
    }
    let second = code("CANARY-SECOND-CODE", true);
    let second = done("EnrollmentCodeService.CreateEnrollmentCode", second).await;
    canaries.add("the second code", &text(&second["code"]));
    canaries.add("the changed code", "CANARY-CHANGED-CODE");
    let update = json!({
        "enrollment_code": {"name": second["name"], "code": "CANARY-CHANGED-CODE"},
        "update_mask": "code", "acknowledge_weak": true, "request_id": id(2),
    });
    for _ in 0..2 {
        let updated = call("EnrollmentCodeService.UpdateEnrollmentCode", update.clone()).await;
        assert_eq!(updated.unwrap()["code"], "CANARY-CHANGED-CODE");
    }
    let delete = json!({"name": second["name"]});
    done("EnrollmentCodeService.DeleteEnrollmentCode", delete).await;

    // Preview and redeem each secret, unchanged and as people type it.
    let typed = ways.credentials().map(str::to_owned).into_iter().chain([
        invite_token.invite_url.clone(),
        token
            .invite_url
            .to_uppercase()
            .replace("HTTPS://JOIN.EXAMPLE/T/", "https://join.example/t/"),
        token.phrase.replace(' ', "").to_uppercase(),
        enrollment_code.full_code.to_lowercase().replace('-', " "),
        class_code.code.replace('-', "").to_lowercase(),
        class_code.join_link.clone(),
    ]);
    for (index, credential) in typed.enumerate() {
        let user = json!({"user": format!("student-{index}")});
        let request =
            json!({"credential": credential, "user": user, "request_id": id(100 + index as u128)});
        ann.preview(&credential).await.ok();
        for _ in 0..2 {
            platform
                .call("RedemptionService.Redeem", &request)
                .await
                .ok();
        }
    }
    let redeemed = ann.redeem(&class_code.code).await.unwrap();
    assert!(!redeemed.redemption.is_empty());

    // Guess, mistype, exceed the length, forge a token, and use the wrong field.
    for (index, guess) in GUESSES.iter().chain(&MALFORMED).enumerate() {
        let plain = guess.trim_start_matches('\u{202e}');
        canaries.add(&format!("guess {index}"), plain);
        canaries.refused(guesser.redeem(guess).await);
        canaries.refused(guesser.preview(guess).await);
    }
    let long = "CANARY-LONG ".repeat(50);
    canaries.add("a credential that is too long", "CANARY-LONG CANARY-LONG");
    canaries.refused(guesser.redeem(&long).await);
    let forged = Clients::connect(membership, invitations, stolen);
    canaries.refused(forged.redeem(&class_code.code).await);
    let in_wrong_fields = json!({
        "credential": class_code.code, "request_id": class_code.code, "client_ip": token.phrase,
    });
    let redeem = "RedemptionService.Redeem";
    canaries.refused(guesser.call(redeem, &in_wrong_fields).await);
    let typed = GUESSES.iter().chain(&MALFORMED);
    let requests: Vec<Value> = typed
        .map(|guess| json!({"credential": guess, "user": {"user": "guesser"}}))
        .collect();
    let batch = json!({"requests": requests});
    let results = platform.call("RedemptionService.BatchRedeem", &batch).await;
    writeln!(canaries.refusals, "{results:?}").unwrap();

    // Read again, list, reset and revoke; then try the old secrets.
    let named = |name: &str| json!({"name": name});
    let revealed = done("TokenService.RevealToken", named(&token.name)).await;
    assert_eq!(text(&revealed["token"]["phrase"]), token.phrase);
    let masked = done("TokenService.GetToken", named(&token.name)).await;
    let in_class = json!({"parent": school.class});
    let listed = done("TokenService.ListTokens", in_class.clone()).await;
    writeln!(canaries.refusals, "masked: {masked} {listed}").unwrap();
    let read = named(&enrollment_code.name);
    done("EnrollmentCodeService.GetEnrollmentCode", read).await;
    done("EnrollmentCodeService.ListEnrollmentCodes", in_class).await;
    for _ in 0..2 {
        let reset = json!({"name": class_code.name, "request_id": id(3)});
        let reset = done("ClassCodeService.ResetClassCode", reset).await;
        let code = &reset["classCode"];
        let (secret, url) = (text(&code["code"]), text(&code["joinLink"]));
        canaries.add_with_url("the class code after a reset", &secret, &url);
    }
    let reset = done("TokenService.ResetInviteToken", named(&invite_token.name)).await;
    let reset = &reset["inviteToken"];
    let (secret, url) = (text(&reset["token"]), text(&reset["inviteUrl"]));
    canaries.add_with_url("the invite token after a reset", &secret, &url);
    let revoked = school.token(Token::default()).await;
    canaries.add_with_url("a revoked phrase", &revoked.phrase, &revoked.invite_url);
    done("TokenService.RevokeToken", named(&revoked.name)).await;
    canaries.refused(call("TokenService.RevealToken", named(&revoked.name)).await);
    for old in [&class_code.code, &invite_token.token, &revoked.phrase] {
        canaries.refused(processes.user("late").redeem(old).await);
    }
    let filter = format!("user = \"{}", class_code.code);
    let list = json!({"parent": school.organization, "filter": filter});
    canaries.refused(call("RedemptionService.ListRedemptions", list).await);
    (canaries, school.clone())
}
