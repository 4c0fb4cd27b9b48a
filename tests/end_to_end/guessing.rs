//! A school behind one address is admitted while other people guess, and a guesser gains nothing
//! (R10), on the real service, with Redis lost in between.
//!
//! Time is the services' own, moved by the test; every guess and typo depends on a seed.

mod play;

use std::time::Duration;

use chrono::TimeDelta;
use homeroom_invitations::limiter::Budgets;
use homeroom_tests::{
    Engine, Homeroom, databases::Databases, on_both_engines, probes, redis_servers::RedisPair,
};
use serde_json::json;

use play::{Play, Scene};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// The students of a class that starts its lesson.
const STUDENTS: usize = 300;
/// The number of students who must be admitted within the minute while many people guess.
const STUDENTS_IN_MIN: usize = 298;
/// The number of students who must be admitted beside one guesser.
const STUDENTS_IN_BESIDE_ONE_MIN: usize = 299;
const ATTACKERS: usize = 200;
/// The attackers with their own addresses, whom only their own budget stops.
const ROAMERS: usize = 30;
/// The number of faults of Redis.
const STRIKES: usize = 3;
/// The longest call of Redis before it is abandoned: longer than any call on a busy machine.
const REDIS_CALL_MAX: Duration = Duration::from_millis(500);

/// Returns the most guesses of one address in this many seconds: three failures for each user, of
/// which two are free; the address's budget and its refill; and one for each admitted student.
fn guesses_of_an_address_max(users: usize, seconds: i64) -> usize {
    let budgets = Budgets::default();
    let regained = seconds * i64::from(budgets.address_hourly) / HOUR;
    users * (budgets.user_free_of_address as usize + 1)
        + budgets.address_hourly as usize
        + usize::try_from(regained).unwrap()
        + (budgets.address_admissions_max as usize).min(STUDENTS)
}

on_both_engines! {
async fn r10_a_class_gets_in_within_a_minute_beside_200_who_guess_from_its_address(homeroom) {
    let mut play = Play::new(homeroom, Scene { attackers: ATTACKERS, roamers: 0, seed: 7 }).await;
    // when all attack and arrive at once,
    for second in 0..MINUTE {
        play.second(homeroom, |attacker| (attacker + usize::try_from(second).unwrap()).is_multiple_of(3)).await;
    }
    let (inside, refused) = (play.inside(), play.refused());
    // and the attackers continue for a quarter of an hour, each whenever allowed,
    play.guess_until(homeroom, TimeDelta::minutes(14), TimeDelta::seconds(10)).await;
    let most = guesses_of_an_address_max(ATTACKERS, 15 * MINUTE);
    play.print("200 attackers", inside, refused, most);
    assert!(inside >= STUDENTS_IN_MIN, "{inside} in");
    assert!(play.guesses() <= most, "{} guesses, at most {most}", play.guesses());
    assert!(play.guesses_of_one() <= 6, "5, and one after 12 minutes");
}
}

on_both_engines! {
async fn r10_a_class_gets_in_within_a_minute_beside_one_who_guesses_20_times_a_second(homeroom) {
    let mut play = Play::new(homeroom, Scene { attackers: 1, roamers: 0, seed: 8 }).await;
    for _ in 0..MINUTE {
        for _ in 1..20 {
            play.guess(homeroom, &[0]).await;
        }
        play.second(homeroom, |_| true).await;
    }
    let (inside, refused) = (play.inside(), play.refused());
    play.print("1 attacker", inside, refused, 5);
    assert!(inside >= STUDENTS_IN_BESIDE_ONE_MIN, "{inside} in");
    assert_eq!(play.guesses(), 5);
}
}

/// A fault of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Killed,
    Stopped,
    Flushed,
    Promoted,
    FailedOver,
}

impl Blow {
    async fn strike(self, redis: &mut RedisPair) {
        match self {
            Self::Killed => redis.kill(),
            Self::Stopped => redis.stop(),
            Self::Flushed => redis.flush().await,
            Self::Promoted => redis.promote().await,
            Self::FailedOver => redis.fail_over().await,
        }
    }

    /// Returns how often Redis may lose its data.
    fn forgets(self) -> usize {
        match self {
            Self::Killed | Self::Flushed | Self::Promoted => STRIKES,
            Self::Stopped | Self::FailedOver => 0,
        }
    }

    async fn heal(self, redis: &mut RedisPair) {
        match self {
            Self::Killed => redis.start_again().await,
            Self::Stopped => redis.resume(),
            Self::Flushed => {}
            Self::Promoted => redis.renew_replica().await,
            Self::FailedOver => redis.lead_to_the_primary(),
        }
    }
}

/// Defines a test of each fault. The database does not matter to the limiter.
macro_rules! struck {
    ($($name:ident: $blow:expr,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() { struck($blow).await; })+
    };
}

struck! {
    r10_redis_killed_locks_nobody_out_and_buys_few_guesses: Blow::Killed,
    r10_redis_stopped_locks_nobody_out_and_buys_few_guesses: Blow::Stopped,
    r10_redis_flushed_locks_nobody_out_and_buys_few_guesses: Blow::Flushed,
    r10_redis_promoted_locks_nobody_out_and_buys_few_guesses: Blow::Promoted,
    r10_redis_failed_over_locks_nobody_out_and_buys_few_guesses: Blow::FailedOver,
}

/// Waits until Redis is asked again, which takes real time: only then are a user's failed attempts cleared.
async fn until_redis_counts(homeroom: &Homeroom) {
    let platform = homeroom.platform();
    let clear = json!({"name": "users/nobody"});
    homeroom
        .eventually("Redis is asked again", async || {
            let cleared = platform.call("UserService.ClearFailedAttempts", &clear);
            cleared.await.is_ok()
        })
        .await;
}

async fn struck(blow: Blow) {
    let mut redis = RedisPair::start().await;
    let mut databases = Databases::create(Engine::Postgres).await;
    databases.redis = Some(redis.url());
    let homeroom =
        Homeroom::start_on(databases, |config| config.redis_call_max = REDIS_CALL_MAX).await;
    let scene = Scene {
        attackers: ATTACKERS,
        roamers: ROAMERS,
        seed: 9,
    };
    let mut play = Play::new(&homeroom, scene).await;
    // when Redis fails in the middle of the minute, and is back a little later,
    for second in 0..MINUTE {
        if second == 20 {
            blow.strike(&mut redis).await;
            let ready = probes::is_ready(homeroom.invitations_address).await;
            assert!(ready, "Redis is no part of readiness");
        }
        if second == 40 {
            blow.heal(&mut redis).await;
            until_redis_counts(&homeroom).await;
        }
        play.second(&homeroom, |attacker| {
            (attacker + usize::try_from(second).unwrap()).is_multiple_of(4)
        })
        .await;
    }
    let (inside, refused) = (play.inside(), play.refused());
    // then nobody stays outside: refused students return when told to,
    play.admit_the_rest(&homeroom, TimeDelta::minutes(15)).await;
    assert_eq!(play.inside(), STUDENTS, "nobody is locked out");
    // and when the roamers have used up their guesses, Redis fails again, twice,
    play.roam_until(&homeroom, TimeDelta::hours(4)).await;
    for _ in 1..STRIKES {
        blow.strike(&mut redis).await;
        play.roam_until(&homeroom, TimeDelta::hours(1)).await;
        blow.heal(&mut redis).await;
        until_redis_counts(&homeroom).await;
        play.roam_until(&homeroom, TimeDelta::hours(1)).await;
    }
    // then none has guessed more often than the day's budget allows, anew each time that Redis
    // loses its data, and half of it while Redis is away.
    let daily = Budgets::default().user_daily as usize;
    let most = daily * (1 + blow.forgets()) + daily / 2;
    play.print(
        &format!("Redis {blow:?}"),
        inside,
        refused,
        most * (ATTACKERS + ROAMERS),
    );
    assert!(inside >= STUDENTS_IN_MIN, "{inside} in within the minute");
    assert!(
        (daily..=most).contains(&play.guesses_of_one()),
        "{} guesses of one user",
        play.guesses_of_one()
    );
    homeroom.stop().await;
}
