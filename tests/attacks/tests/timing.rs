//! Measures whether the time of a refusal reveals its reason (R5), for codes that are unknown,
//! changed, switched off or deleted: as the area under the curve (AUC) of a classifier by a
//! threshold, for each pair of reasons. 0.5 is a guess.
//!
//! With few samples this only checks that the measurement runs. `HOMEROOM_TIMING_SAMPLES=10000`
//! and `cargo test --release --package homeroom-attacks --test timing -- --nocapture
//! --test-threads 1` measure, on an otherwise idle machine.

use std::time::Instant;

use homeroom_tests::{Claims, Clients, Engine, School, dice::Dice, processes::Processes, reason};
use serde_json::{Value, json};

/// The number of refusals by each code.
const SAMPLES_OF_A_CODE: usize = 25;
/// The number of random characters in a code: 12 of these hold 60 bits.
const CODE_CHARS: usize = 12;
/// The number of refusals of each kind, unless the environment says otherwise.
const SAMPLES: usize = 125;
/// The number of calls before the measurement.
const WARM_UP_CALLS: usize = 200;
/// The reasons why a code opens nothing.
const REASONS: [&str; 4] = ["unknown", "reset", "off", "deleted"];

/// Creates a valid code and ends it for this reason, unless it is `unknown`.
async fn spoilt(school: &School, why: &str, dice: &Dice) -> String {
    let word = || dice.word(CODE_CHARS);
    if why == "unknown" {
        return format!("HAMILTON-{}", word());
    }
    let call = async |method: &str, body: Value| {
        let method = format!("EnrollmentCodeService.{method}EnrollmentCode");
        school.admin.call(&method, &body).await.unwrap()
    };
    let new = json!({"parent": school.class, "enrollment_code": {"code": word()}, "acknowledge_weak": true});
    let made = call("Create", new).await;
    let name = &made["name"];
    let update = |field: &str, value: Value| {
        let mut code = json!({"name": name});
        code[field] = value;
        json!({"enrollment_code": code, "update_mask": field, "acknowledge_weak": true})
    };
    match why {
        "reset" => call("Update", update("code", word().into())).await,
        "off" => call("Update", update("enabled", false.into())).await,
        _ => call("Delete", json!({"name": name})).await,
    };
    made["fullCode"].as_str().unwrap().to_owned()
}

/// Returns the seconds that the refusal of this code takes, by a person who has not tried before.
async fn refusal(platform: &Clients, method: &str, user: &str, code: &str) -> f64 {
    let body = json!({"credential": code, "user": {"user": user}});
    let begun = Instant::now();
    let refused = platform.call(method, &body).await.unwrap_err();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    seconds
}

/// Times refusals in random order, one call at a time, and prints how well a threshold separates
/// the reasons.
async fn measure(engine: Engine) {
    let samples = std::env::var("HOMEROOM_TIMING_SAMPLES");
    let samples = samples.map_or(SAMPLES, |samples| samples.parse().unwrap());
    let dice = Dice::new(std::process::id().into());
    let processes = Processes::start(engine).await;
    let school = processes.school().await;
    // The limiter refuses none of a vouching platform's users, each of whom tries once.
    let platform = processes.user_with(Claims {
        scopes: &["homeroom.act_as", "homeroom.vouch"],
        ..Claims::of("platform")
    });
    // The reasons alternate, so that none has a separate part of the database.
    let mut codes = Vec::new();
    for _ in 0..samples / SAMPLES_OF_A_CODE {
        for (why, name) in REASONS.iter().enumerate() {
            codes.push((why, spoilt(&school, name, &dice).await));
        }
    }
    for method in [
        "RedemptionService.Redeem",
        "RedemptionService.PreviewRedemption",
    ] {
        let all = codes.iter().cycle().take(samples * REASONS.len());
        let mut order: Vec<_> = all.collect();
        for last in (1..order.len()).rev() {
            order.swap(last, dice.below(last + 1));
        }
        for (_, code) in order.iter().cycle().take(WARM_UP_CALLS) {
            refusal(&platform, method, &dice.request_id(), code).await;
        }
        let mut seconds = REASONS.map(|_| Vec::new());
        for (why, code) in order {
            seconds[*why].push(refusal(&platform, method, &dice.request_id(), code).await);
        }
        println!(
            "{method} on {engine:?}, {samples} refusals of each: AUC (± the deviation of chance)"
        );
        for first in 0..REASONS.len() {
            for second in first + 1..REASONS.len() {
                let (auc, deviation) = separation(&seconds[first], &seconds[second]);
                let (first, second) = (REASONS[first], REASONS[second]);
                println!("{first} or {second}: {auc:.4} (± {deviation:.4})");
            }
        }
    }
    processes.stop().await;
}

/// Returns the probability that a member of one sample is larger than one of the other, of whichever
/// is larger, from the ranks of all values (Mann and Whitney; equal values share a rank), and its
/// standard deviation between samples of one distribution.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of samples are far below 2^52"
)]
fn separation(first: &[f64], second: &[f64]) -> (f64, f64) {
    let (m, n) = (first.len() as f64, second.len() as f64);
    let pairs = first.iter().flat_map(|one| {
        second.iter().map(move |other| {
            let larger = f64::from(u8::from(one > other));
            larger.midpoint(f64::from(u8::from(one >= other)))
        })
    });
    let auc = pairs.sum::<f64>() / (m * n);
    (auc.max(1.0 - auc), ((m + n + 1.0) / (12.0 * m * n)).sqrt())
}

#[test]
#[expect(clippy::float_cmp, reason = "fractions of few samples are exact")]
fn what_a_threshold_parts_is_told_apart_and_what_is_equal_is_not() {
    for (first, second, auc) in [
        ([1.0, 2.0], [3.0, 4.0], 1.0),
        ([3.0, 4.0], [1.0, 2.0], 1.0),
        ([1.0, 2.0], [1.0, 2.0], 0.5),
        ([1.0, 3.0], [2.0, 4.0], 0.75),
    ] {
        assert_eq!(separation(&first, &second).0, auc);
    }
    // Chance leaves less, the more samples there are.
    let many = [1.0; 1_000];
    assert!(separation(&many, &many).1 < 0.015);
}

#[tokio::test]
async fn refusals_of_every_kind_are_timed_on_sqlite() {
    measure(Engine::Sqlite).await;
}

#[tokio::test]
async fn refusals_of_every_kind_are_timed_on_postgres() {
    measure(Engine::Postgres).await;
}
