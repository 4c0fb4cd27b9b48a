//! Measures whether the time of a refusal reveals its reason (R5), for codes that are unknown,
//! changed, switched off or deleted.

mod auc;
mod codes;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use homeroom_api::{
    common::v1::User,
    invitations::v1::{PreviewRedemptionRequest, RedeemRequest},
};
use homeroom_tests::{Claims, Clients, Engine, processes::Processes, reason};
use rand::seq::SliceRandom as _;
use tonic::Code;

pub use auc::{Separation, separation};
pub use codes::State;

/// The number of calls before the measurement.
const WARM_UP_CALLS: usize = 200;

/// The method that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Redeem.
    Redeem,
    /// `PreviewRedemption`.
    Preview,
}

/// The options of a measurement.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Arguments {
    /// The number of refusals of each kind.
    #[arg(long, default_value_t = 10_000)]
    pub samples: usize,
    /// The number of codes of each kind, which are used in turn.
    #[arg(long, default_value_t = 200)]
    pub codes: usize,
    /// The method.
    #[arg(long, value_enum, default_value_t = Method::Redeem)]
    pub method: Method,
    /// True for PostgreSQL and Redis, false for SQLite.
    #[arg(long)]
    pub postgres: bool,
}

/// The latency of each refusal, with the state of its code.
#[derive(Debug, Clone)]
pub struct Timings {
    /// The latencies in order of measurement.
    pub latencies: Vec<(State, Duration)>,
}

/// Starts both services, and times refusals in random order: one caller, one call at a time.
///
/// The caller is a platform that vouches for its users, each of whom tries once, so the limiter
/// never refuses.
pub async fn measure(arguments: &Arguments) -> Timings {
    let engine = if arguments.postgres {
        Engine::Postgres
    } else {
        Engine::Sqlite
    };
    let processes = Processes::start(engine).await;
    let codes = codes::create(&processes, arguments.codes).await;
    let platform = processes.user_with(Claims {
        scopes: &["homeroom.act_as", "homeroom.vouch"],
        ..Claims::of("platform")
    });
    let mut random = rand::rng();
    let mut order: Vec<(State, &str)> = Vec::new();
    for (state, codes) in &codes {
        let of_state = codes.iter().cycle().take(arguments.samples);
        order.extend(of_state.map(|code| (*state, code.as_str())));
    }
    order.shuffle(&mut random);
    for (number, (_, code)) in order.iter().cycle().take(WARM_UP_CALLS).enumerate() {
        refusal(&platform, arguments.method, &format!("warm-{number}"), code).await;
    }
    let mut latencies = Vec::with_capacity(order.len());
    for (number, (state, code)) in order.iter().enumerate() {
        let user = format!("guest-{number:08}");
        latencies.push((
            *state,
            refusal(&platform, arguments.method, &user, code).await,
        ));
    }
    processes.stop().await;
    Timings { latencies }
}

/// Returns the latency of the refusal of this code.
async fn refusal(platform: &Clients, method: Method, user: &str, code: &str) -> Duration {
    let mut redemptions = platform.redemptions.clone();
    let (credential, user) = (code.to_owned(), Some(homeroom_tests::person(user)));
    let (latency, refused) = match method {
        Method::Redeem => {
            let request = redeem_request(credential, user);
            let begun = Instant::now();
            let answer = redemptions.redeem(request).await;
            (begun.elapsed(), answer.map(|_| ()))
        }
        Method::Preview => {
            let request = PreviewRedemptionRequest {
                credential,
                user,
                ..Default::default()
            };
            let begun = Instant::now();
            let answer = redemptions.preview_redemption(request).await;
            (begun.elapsed(), answer.map(|_| ()))
        }
    };
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
    assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    latency
}

fn redeem_request(credential: String, user: Option<User>) -> RedeemRequest {
    RedeemRequest {
        credential,
        user,
        ..Default::default()
    }
}

impl Timings {
    /// Returns the latencies of the refusals in this state, in seconds.
    #[must_use]
    pub fn seconds(&self, state: State) -> Vec<f64> {
        let of_state = self.latencies.iter().filter(|(other, _)| *other == state);
        of_state.map(|(_, latency)| latency.as_secs_f64()).collect()
    }

    /// Returns the separation of each pair of states.
    #[must_use]
    pub fn separations(&self) -> Vec<(State, State, Separation)> {
        let mut pairs = Vec::new();
        for (index, first) in State::ALL.into_iter().enumerate() {
            for second in State::ALL.into_iter().skip(index + 1) {
                let told = separation(&self.seconds(first), &self.seconds(second));
                pairs.push((first, second, told));
            }
        }
        pairs
    }

    /// Formats the latencies and separations as tables.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<12}{:>10}{:>10}{:>10}{:>10}\n",
            "refusal of", "samples", "p10 µs", "p50 µs", "p90 µs"
        );
        for state in State::ALL {
            let mut seconds = self.seconds(state);
            seconds.sort_by(f64::total_cmp);
            let at = |tenths: usize| {
                let index = (seconds.len() * tenths / 10).min(seconds.len().saturating_sub(1));
                seconds.get(index).copied().unwrap_or_default() * 1e6
            };
            writeln!(
                table,
                "{:<12}{:>10}{:>10.1}{:>10.1}{:>10.1}",
                state.name(),
                seconds.len(),
                at(1),
                at(5),
                at(9)
            )
            .unwrap();
        }
        table += "\na classifier by a threshold    AUC   (0.5: a guess; the deviation of chance)\n";
        for (first, second, told) in self.separations() {
            let pair = format!("{} or {}", first.name(), second.name());
            writeln!(
                table,
                "{pair:<28}{:>7.4}   (± {:.4})",
                told.auc, told.deviation
            )
            .unwrap();
        }
        table
    }
}
