//! Every correct and incorrect use of a secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use homeroom_api::invitations::v1::{
    BatchCreateTokensRequest, BatchRedeemRequest, CreateTokenRequest, DeleteEnrollmentCodeRequest,
    EnrollmentCode, GetEnrollmentCodeRequest, GetTokenRequest, ListEnrollmentCodesRequest,
    ListRedemptionsRequest, ListTokensRequest, RedeemRequest, ResetClassCodeRequest,
    ResetInviteTokenRequest, RevealTokenRequest, RevokeTokenRequest, Token,
    UpdateEnrollmentCodeRequest, batch_create_tokens_response::result::Outcome,
};
use homeroom_tests::{Claims, Clients, field_mask, person, processes::Callers, reason};
use tonic::Status;
use uuid::Uuid;

use crate::ways::{CLASS, ORGANIZATION, Ways, create_code, make_token};

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

/// Uses secrets in every correct and incorrect way.
pub(crate) async fn story(callers: &Callers, addresses: [std::net::SocketAddr; 2]) -> Canaries {
    let mut canaries = Canaries::default();
    let [membership, invitations] = addresses;
    let mut bearer = |user: &str, scopes: &[&str]| {
        let token = callers.access_token(Claims {
            scopes,
            ..Claims::of(user)
        });
        let signature = token.rsplit('.').next().unwrap();
        canaries.add(&format!("the access token of {user}"), signature);
        Clients::connect(membership, invitations, &token)
    };
    let mut teacher = bearer("teacher", &[]);
    let platform = bearer("lms", &["homeroom.act_as", "homeroom.vouch"]);
    let ann = bearer("ann", &[]);
    let guesser = bearer("guesser", &[]);
    let stolen =
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnktc3RvbGVuIn0.Y2FuYXJ5LXN0b2xlbi1zaWduYXR1cmU";
    canaries.add("a stolen access token", stolen);

    // Create one of each kind of invitation, and tokens in a batch.
    let ways = Ways::create(callers).await;
    let Ways {
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
    let batch = BatchCreateTokensRequest {
        parent: CLASS.to_owned(),
        tokens: vec![
            Token {
                assigned_email: "mia@hamilton.example".to_owned(),
                ..Default::default()
            },
            Token {
                assigned_email: "no address".to_owned(),
                ..Default::default()
            },
        ],
        ..Default::default()
    };
    let made = teacher.tokens.batch_create_tokens(batch).await.unwrap();
    for result in made.into_inner().results {
        match result.outcome.unwrap() {
            Outcome::Token(made) => {
                canaries.add_with_url("a phrase of a batch", &made.phrase, &made.invite_url);
            }
            Outcome::Status(refused) => writeln!(canaries.refusals, "{refused:?}").unwrap(),
        }
    }

    // Retry by request id, and read the secret again.
    let create = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token::default()),
        request_id: Uuid::from_u128(1).to_string(),
    };
    let first = teacher.tokens.create_token(create.clone()).await.unwrap();
    let again = teacher.tokens.create_token(create.clone()).await.unwrap();
    let first = first.into_inner();
    assert_eq!(again.into_inner().phrase, first.phrase);
    canaries.add_with_url("a retried phrase", &first.phrase, &first.invite_url);
    let other = CreateTokenRequest {
        token: Some(Token {
            words: 3,
            ..Default::default()
        }),
        ..create
    };
    canaries.refused(teacher.tokens.create_token(other).await);

    // Type codes that are malformed, weak or duplicate, and change them.
    for (code, acknowledge_weak) in [
        (enrollment_code.code.as_str(), true),
        ("CANARY_MALFORMED_CODE", true),
        ("CANARYWE", false),
        (&"CANARY-TOO-LONG".repeat(20), true),
    ] {
        canaries.add(&format!("the refused code of {} bytes", code.len()), code);
        let mut create = create_code(code);
        create.acknowledge_weak = acknowledge_weak;
        canaries.refused(
            teacher
                .enrollment_codes
                .create_enrollment_code(create)
                .await,
        );
    }
    let second = teacher
        .enrollment_codes
        .create_enrollment_code(create_code("CANARY-SECOND-CODE"))
        .await
        .unwrap()
        .into_inner();
    canaries.add("the second code", &second.code);
    canaries.add("the changed code", "CANARY-CHANGED-CODE");
    let update = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(EnrollmentCode {
            name: second.name.clone(),
            code: "CANARY-CHANGED-CODE".to_owned(),
            ..Default::default()
        }),
        update_mask: field_mask(&["code"]),
        acknowledge_weak: true,
        request_id: Uuid::from_u128(2).to_string(),
    };
    for _ in 0..2 {
        let updated = teacher
            .enrollment_codes
            .update_enrollment_code(update.clone())
            .await;
        assert_eq!(updated.unwrap().into_inner().code, "CANARY-CHANGED-CODE");
    }
    let delete = DeleteEnrollmentCodeRequest {
        name: second.name.clone(),
        ..Default::default()
    };
    teacher
        .enrollment_codes
        .delete_enrollment_code(delete)
        .await
        .unwrap();

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
        let request_id = Uuid::from_u128(100 + index as u128).to_string();
        let request = RedeemRequest {
            credential: credential.clone(),
            user: Some(person(&format!("student-{index}"))),
            request_id,
            ..Default::default()
        };
        ann.preview(&credential).await.ok();
        for _ in 0..2 {
            platform.redeem_with(request.clone()).await.ok();
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
    canaries.refused(
        guesser
            .redeem_with(RedeemRequest {
                credential: class_code.code.clone(),
                request_id: class_code.code.clone(),
                client_ip: token.phrase.clone(),
                ..Default::default()
            })
            .await,
    );
    let batch = BatchRedeemRequest {
        requests: GUESSES
            .iter()
            .chain(&MALFORMED)
            .map(|guess| RedeemRequest {
                credential: (*guess).to_owned(),
                user: Some(person("guesser")),
                ..Default::default()
            })
            .collect(),
    };
    let results = platform.redemptions.clone().batch_redeem(batch).await;
    writeln!(canaries.refusals, "{results:?}").unwrap();

    // Read again, list, reset and revoke; then try the old secrets.
    let name = token.name.clone();
    let reveal = RevealTokenRequest { name: name.clone() };
    let revealed = teacher.tokens.reveal_token(reveal.clone()).await.unwrap();
    assert_eq!(revealed.into_inner().token.unwrap().phrase, token.phrase);
    let masked = GetTokenRequest { name: name.clone() };
    let masked = teacher.tokens.get_token(masked).await.unwrap().into_inner();
    let list = ListTokensRequest {
        parent: CLASS.to_owned(),
        ..Default::default()
    };
    let listed = teacher.tokens.list_tokens(list).await.unwrap().into_inner();
    writeln!(canaries.refusals, "masked: {masked:?} {listed:?}").unwrap();
    let read = GetEnrollmentCodeRequest {
        name: enrollment_code.name.clone(),
    };
    teacher
        .enrollment_codes
        .get_enrollment_code(read)
        .await
        .unwrap();
    let list = ListEnrollmentCodesRequest {
        parent: CLASS.to_owned(),
        ..Default::default()
    };
    teacher
        .enrollment_codes
        .list_enrollment_codes(list)
        .await
        .unwrap();
    for _ in 0..2 {
        let reset = ResetClassCodeRequest {
            name: class_code.name.clone(),
            request_id: Uuid::from_u128(3).to_string(),
            ..Default::default()
        };
        let reset = teacher.class_codes.reset_class_code(reset).await.unwrap();
        let code = reset.into_inner().class_code.unwrap();
        canaries.add_with_url("the class code after a reset", &code.code, &code.join_link);
    }
    let reset = ResetInviteTokenRequest {
        name: invite_token.name.clone(),
        ..Default::default()
    };
    let reset = teacher.tokens.reset_invite_token(reset).await.unwrap();
    let reset = reset.into_inner().invite_token.unwrap();
    canaries.add_with_url(
        "the invite token after a reset",
        &reset.token,
        &reset.invite_url,
    );
    let revoked = make_token(&mut teacher).await;
    canaries.add_with_url("a revoked phrase", &revoked.phrase, &revoked.invite_url);
    let revoke = RevokeTokenRequest {
        name: revoked.name.clone(),
        ..Default::default()
    };
    teacher.tokens.revoke_token(revoke).await.unwrap();
    let reveal = RevealTokenRequest { name: revoked.name };
    canaries.refused(teacher.tokens.reveal_token(reveal).await);
    for old in [&class_code.code, &invite_token.token, &revoked.phrase] {
        canaries.refused(bearer_of(callers, addresses, "late").redeem(old).await);
    }
    let list = ListRedemptionsRequest {
        parent: ORGANIZATION.to_owned(),
        filter: format!("user = \"{}", class_code.code),
        ..Default::default()
    };
    canaries.refused(teacher.redemptions.list_redemptions(list).await);
    canaries
}

fn bearer_of(callers: &Callers, addresses: [std::net::SocketAddr; 2], user: &str) -> Clients {
    let [membership, invitations] = addresses;
    Clients::connect(
        membership,
        invitations,
        &callers.access_token(Claims::of(user)),
    )
}
