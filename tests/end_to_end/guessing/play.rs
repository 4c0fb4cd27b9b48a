//! Students who arrive and mistype, and attackers who guess, second by second.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream};
use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome};
use homeroom_kit::random::{SeededRandomness, below};
use homeroom_tests::{Claims, Clients, Homeroom, School, details, reason};

use super::STUDENTS;

/// The percentage of mistyped attempts, each drawn independently: of 300 students one mistypes
/// three times in a row.
const TYPOS_PERCENT: u32 = 15;
/// The number of seconds within which the students arrive.
const ARRIVAL_SECONDS: usize = 40;
/// The seconds before a student's retry.
const AGAIN_SECONDS: i64 = 5;
/// The number of concurrent calls.
const CALLS_AT_ONCE: usize = 32;
/// The letters of codes (Crockford's base32).
const LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The people of a play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// The number of attackers at the school's address.
    pub(super) attackers: usize,
    /// The number of attackers with their own address.
    pub(super) roamers: usize,
    pub(super) seed: u64,
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The person is admitted, is a member already, or waits for approval.
    In(RedemptionOutcome),
    /// The credential was looked up, and opens nothing.
    Wrong,
    /// The limiter stopped the attempt, and says when to return.
    Later(TimeDelta),
}

struct Person {
    client: Clients,
    /// The forwarded address; empty means the connection's address, which all share.
    address: String,
    /// The time of the next attempt; `None` if there is none.
    next: Option<DateTime<Utc>>,
    /// The number of attempts that the limiter allowed and that opened nothing.
    wrong: usize,
    refused: usize,
}

impl Person {
    async fn tries(&self, credential: String) -> Told {
        let request = RedeemRequest {
            credential,
            client_ip: self.address.clone(),
            ..Default::default()
        };
        match self.client.redeem_with(request).await {
            Ok(answer) => Told::In(answer.outcome()),
            Err(status) => match reason(&status).as_str() {
                "CODE_NOT_USABLE" => Told::Wrong,
                "TOO_MANY_ATTEMPTS" => {
                    let wait = details(&status)
                        .retry_info()
                        .and_then(|info| info.retry_delay);
                    Told::Later(TimeDelta::from_std(wait.unwrap()).unwrap())
                }
                _ => panic!("{status:?}"),
            },
        }
    }
}

/// The state of a play.
pub(super) struct Play {
    code: String,
    random: SeededRandomness,
    /// A separate source, so that the same students mistype whatever the code is.
    typos: SeededRandomness,
    students: Vec<Person>,
    /// The attackers; those at the school's address come first.
    attackers: Vec<Person>,
    at_the_school: usize,
    outcomes: BTreeMap<&'static str, usize>,
}

impl Play {
    pub(super) async fn new(homeroom: &Homeroom, scene: Scene) -> Self {
        let school: School = homeroom.school().await;
        let now = homeroom.now();
        let person = |client: Clients, address: String, next: DateTime<Utc>| Person {
            client,
            address,
            next: Some(next),
            wrong: 0,
            refused: 0,
        };
        let students = (0..STUDENTS).map(|number| {
            let arrives = i64::try_from(1 + number * ARRIVAL_SECONDS / STUDENTS).unwrap();
            let client = homeroom.user(&format!("student-{number}"));
            person(client, String::new(), now + TimeDelta::seconds(arrives))
        });
        let attackers = (0..scene.attackers).map(|number| {
            let client = homeroom.user(&format!("attacker-{number}"));
            person(client, String::new(), now)
        });
        let roamers = (0..scene.roamers).map(|number| {
            let id = format!("roamer-{number}");
            let client = homeroom.user_with(Claims {
                scopes: &["homeroom.forward_ip"],
                ..Claims::of(&id)
            });
            person(client, format!("198.51.100.{number}"), now)
        });
        Self {
            code: school.class_code().await.code,
            random: SeededRandomness::new(scene.seed),
            typos: SeededRandomness::new(scene.seed),
            students: students.collect(),
            attackers: attackers.chain(roamers).collect(),
            at_the_school: scene.attackers,
            outcomes: BTreeMap::new(),
        }
    }

    /// Lets a second pass: the chosen attackers guess, and then every student whose turn it is
    /// tries.
    pub(super) async fn second(&mut self, homeroom: &Homeroom, guesses: impl Fn(usize) -> bool) {
        homeroom.advance(TimeDelta::seconds(1));
        let guessing: Vec<usize> = (0..self.attackers.len())
            .filter(|number| guesses(*number))
            .collect();
        self.guess(homeroom, &guessing).await;
        self.students_try(homeroom).await;
    }

    /// Makes these attackers guess, each once.
    pub(super) async fn guess(&mut self, homeroom: &Homeroom, guessing: &[usize]) {
        let guesses: Vec<(usize, String)> = guessing
            .iter()
            .map(|number| (*number, self.code()))
            .collect();
        let told = together(&self.attackers, guesses).await;
        for (number, told) in told {
            let attacker = &mut self.attackers[number];
            let now = homeroom.now();
            match told {
                Told::Wrong => {
                    attacker.wrong += 1;
                    attacker.next = Some(now);
                }
                Told::Later(wait) => {
                    attacker.refused += 1;
                    attacker.next = Some(now + wait);
                }
                Told::In(outcome) => panic!("a guess hit: {outcome:?}"),
            }
        }
    }

    async fn students_try(&mut self, homeroom: &Homeroom) {
        let now = homeroom.now();
        let due = |person: &Person| person.next.is_some_and(|next| next <= now);
        let trying: Vec<usize> = (0..self.students.len())
            .filter(|number| due(&self.students[*number]))
            .collect();
        let attempts: Vec<(usize, String)> = trying
            .into_iter()
            .map(|number| (number, self.typed()))
            .collect();
        for (number, told) in together(&self.students, attempts).await {
            let student = &mut self.students[number];
            student.next = match told {
                Told::In(outcome) => {
                    *self.outcomes.entry(outcome.as_str_name()).or_default() += 1;
                    None
                }
                Told::Wrong => {
                    student.wrong += 1;
                    Some(now + TimeDelta::seconds(AGAIN_SECONDS))
                }
                Told::Later(wait) => {
                    student.refused += 1;
                    Some(now + wait)
                }
            };
        }
    }

    /// Returns the class's code as a student types it, sometimes with one wrong letter.
    fn typed(&self) -> String {
        let mut typed: Vec<char> = self.code.chars().collect();
        if below(&self.typos, 100) < TYPOS_PERCENT {
            let letters: Vec<usize> = (0..typed.len())
                .filter(|index| typed[*index].is_ascii_alphanumeric())
                .collect();
            let index =
                letters[below(&self.random, u32::try_from(letters.len()).unwrap()) as usize];
            let before = typed[index];
            while typed[index] == before {
                typed[index] = self.letter();
            }
        }
        typed.into_iter().collect()
    }

    /// Returns a code of the right form.
    fn code(&self) -> String {
        let group = || -> String { (0..4).map(|_| self.letter()).collect() };
        [group(), group(), group()].join("-")
    }

    fn letter(&self) -> char {
        let index = below(&self.random, u32::try_from(LETTERS.len()).unwrap());
        char::from(LETTERS[index as usize])
    }

    /// Makes every attacker continue for `time`, whenever allowed, in steps of `step`.
    pub(super) async fn guess_until(
        &mut self,
        homeroom: &Homeroom,
        time: TimeDelta,
        step: TimeDelta,
    ) {
        let end = homeroom.now() + time;
        while homeroom.now() < end {
            homeroom.advance(step.min(end - homeroom.now()));
            self.guess_while_let(homeroom, 0).await;
        }
    }

    /// Makes the attackers from this one on guess until each is refused.
    async fn guess_while_let(&mut self, homeroom: &Homeroom, first: usize) {
        loop {
            let now = homeroom.now();
            let due: Vec<usize> = (first..self.attackers.len())
                .filter(|number| self.attackers[*number].next.is_some_and(|next| next <= now))
                .collect();
            if due.is_empty() {
                return;
            }
            self.guess(homeroom, &due).await;
        }
    }

    /// Makes the roamers continue for `time`, whenever allowed; they also try once at the
    /// beginning.
    pub(super) async fn roam_until(&mut self, homeroom: &Homeroom, time: TimeDelta) {
        let end = homeroom.now() + time;
        let roaming: Vec<usize> = (self.at_the_school..self.attackers.len()).collect();
        self.guess(homeroom, &roaming).await;
        while homeroom.now() < end {
            homeroom.advance(TimeDelta::minutes(4).min(end - homeroom.now()));
            self.guess_while_let(homeroom, self.at_the_school).await;
        }
    }

    /// Makes students who are not admitted yet try when told to, for at most `time`.
    pub(super) async fn admit_the_rest(&mut self, homeroom: &Homeroom, time: TimeDelta) {
        let end = homeroom.now() + time;
        while homeroom.now() < end && self.inside() < STUDENTS {
            homeroom.advance(TimeDelta::seconds(1));
            self.students_try(homeroom).await;
        }
    }

    /// Returns the number of students who are admitted or wait for approval.
    pub(super) fn inside(&self) -> usize {
        self.outcomes.values().sum()
    }

    /// Returns the number of students' attempts that the limiter refused.
    pub(super) fn refused(&self) -> usize {
        self.students.iter().map(|student| student.refused).sum()
    }

    /// Returns the number of guesses that were looked up.
    pub(super) fn guesses(&self) -> usize {
        self.attackers.iter().map(|attacker| attacker.wrong).sum()
    }

    /// Returns the most guesses of one attacker that were looked up.
    pub(super) fn guesses_of_one(&self) -> usize {
        let guesses = self.attackers.iter().map(|attacker| attacker.wrong);
        guesses.max().unwrap_or(0)
    }

    pub(super) fn print(&self, what: &str, inside: usize, refused: usize, most: usize) {
        let typos: usize = self.students.iter().map(|student| student.wrong).sum();
        println!(
            "{what}: {inside} of {STUDENTS} in within 60 s, {typos} typos, {refused} students refused, \
             {} guesses looked at, at most {most}, of one {}, {:?}",
            self.guesses(),
            self.guesses_of_one(),
            self.outcomes,
        );
    }
}

/// Makes these attempts, several at a time.
async fn together(people: &[Person], attempts: Vec<(usize, String)>) -> Vec<(usize, Told)> {
    let mut told: Vec<(usize, Told)> = stream::iter(attempts)
        .map(async |(number, credential)| (number, people[number].tries(credential).await))
        .buffer_unordered(CALLS_AT_ONCE)
        .collect()
        .await;
    told.sort_unstable_by_key(|(number, _)| *number);
    told
}
