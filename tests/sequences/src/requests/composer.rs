//! How requests are made: by chance, of what is known.

use std::fmt::Debug;

use homeroom_api::common::v1::User;
use prost::Message;
use uuid::Uuid;

use crate::{
    dice::Dice,
    world::{ADMIN, CO_TEACHER, FIRST_STUDENT, TEACHER, World},
};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The platform, with every scope, for itself.
    Platform,
    /// The platform, without the scope `homeroom.platform`, for this user.
    For(String),
}

/// What a call does to the credentials of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// None.
    Nothing,
    /// Once answered, nobody gets in by these texts.
    Ends(Vec<String>),
    /// Those of these invitations, and those that end in these codes, may work again.
    Revives(Vec<String>),
}

/// A call that has been thought of.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who calls.
    pub caller: Caller,
    /// The message.
    pub body: Vec<u8>,
    /// The message for people.
    pub text: String,
    /// Whether a retry answers the same (R3).
    pub has_request_id: bool,
    /// The credentials that are redeemed by it.
    pub credentials: Vec<String>,
    /// Whether a retry of each answers the same.
    pub safe_to_retry: Vec<bool>,
    /// For whom, in the same order.
    pub users: Vec<String>,
    /// What it does to credentials.
    pub effect: Effect,
    /// Whom it erases: from now on answers that tell of them are forgotten (R13).
    pub erases: Option<String>,
}

impl Request {
    /// A message, and nothing more to know of it.
    #[must_use]
    pub fn new<M: Message + Debug>(caller: Caller, message: &M) -> Self {
        let text = format!("{message:?}");
        Self {
            caller,
            body: message.encode_to_vec(),
            has_request_id: text.contains("request_id: \"0"),
            text,
            credentials: Vec::new(),
            safe_to_retry: Vec::new(),
            users: Vec::new(),
            effect: Effect::Nothing,
            erases: None,
        }
    }

    /// With what it does to credentials.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }
}

/// What requests are made of.
pub struct Composer<'world> {
    /// Chance.
    pub dice: Dice,
    /// Calls of one focus use one credential.
    pub focus: Option<u64>,
    /// What is known.
    pub world: &'world World,
    /// The services' clock, in seconds since the epoch.
    pub now_seconds: i64,
}

impl Composer<'_> {
    /// A person of those who run things: mostly the administrator or the teacher.
    pub fn staff(&mut self) -> Caller {
        let place = self.dice.weighted([50, 38, 6, 6].into_iter());
        let person = [ADMIN, TEACHER, CO_TEACHER, FIRST_STUDENT][place];
        Caller::For(self.world.people[person].clone())
    }

    /// Staff who decide on requests, the co-teacher too.
    pub fn decider(&mut self) -> Caller {
        let place = self.dice.weighted([4, 4, 2].into_iter());
        Caller::For(self.world.people[[ADMIN, TEACHER, CO_TEACHER][place]].clone())
    }

    /// A person.
    pub fn anyone(&mut self) -> String {
        self.dice.pick(&self.world.people).clone()
    }

    /// A student.
    pub fn student(&mut self) -> String {
        self.dice.pick(&self.world.people[FIRST_STUDENT..]).clone()
    }

    /// Whoever it is, for themselves.
    pub fn oneself(&mut self) -> Caller {
        Caller::For(self.anyone())
    }

    /// The name of an organization: mostly of the first, at times of none.
    pub fn organization(&mut self) -> String {
        match self.dice.weighted([80, 17, 3].into_iter()) {
            0 => self.world.organizations[0].clone(),
            1 => self.dice.pick(&self.world.organizations).clone(),
            _ => format!("organizations/{}-none", self.world.tag),
        }
    }

    /// The name of a class: mostly of the first, at times of none.
    pub fn class(&mut self) -> String {
        match self.dice.weighted([70, 27, 3].into_iter()) {
            0 => self.world.classes[0].clone(),
            1 => self.dice.pick(&self.world.classes).clone(),
            _ => format!("organizations/{}-a/classes/none", self.world.tag),
        }
    }

    /// A class or an organization.
    pub fn place(&mut self) -> String {
        if self.dice.chance(60) {
            self.class()
        } else {
            self.organization()
        }
    }

    /// One of what is known, or one that is not there.
    pub fn known(&mut self, names: &[String], absent: &str) -> String {
        let none = || format!("{absent}/01900000-0000-7000-8000-000000000000");
        self.dice.pick_from(names).cloned().unwrap_or_else(none)
    }

    /// An invitation's name.
    pub fn invitation(&mut self) -> String {
        let known = self.dice.pick_from(&self.world.credentials);
        match known {
            Some(known) => known.invitation.clone(),
            None => format!("{}/classCode", self.class()),
        }
    }

    /// A credential: mostly one that works or did, at times a guess.
    pub fn credential(&mut self) -> String {
        let known = &self.world.credentials;
        if known.is_empty() || self.dice.chance(4) {
            return [
                "correct-horse",
                "K7QM-3XWP-9DTV",
                "https://join.example/j/AAAA",
                "",
                "HAM LET",
            ][self.dice.below(5)]
            .to_owned();
        }
        if let Some(focus) = self.focus {
            return Dice::new(focus).pick(known).text.clone();
        }
        // The latest are the most worth trying.
        let first = if self.dice.chance(50) {
            known.len().saturating_sub(4)
        } else {
            0
        };
        let text = self.dice.pick(&known[first..]).text.clone();
        if self.dice.chance(5) {
            format!(" {}. ", text.to_lowercase())
        } else {
            text
        }
    }

    /// A request id, or none.
    pub fn request_id(&mut self) -> String {
        if self.dice.chance(30) {
            return String::new();
        }
        // Begins with 0, of version 7: made of chance alone.
        let high = (self.dice.roll() >> 8) & 0xffff_ffff_ffff_0fff | 0x7000;
        let low = (self.dice.roll() >> 2) | (1 << 63);
        Uuid::from_u64_pair(high, low).to_string()
    }

    /// Mostly no etag; else the one last seen, or a wrong one.
    pub fn etag(&mut self, name: &str) -> String {
        match self.dice.weighted([80, 15, 5].into_iter()) {
            0 => String::new(),
            1 => self.world.etags.get(name).cloned().unwrap_or_default(),
            _ => "\"99\"".to_owned(),
        }
    }

    /// A page size: small ones, none, and wrong ones.
    pub fn page_size(&mut self) -> i32 {
        *self.dice.pick(&[0, 1, 2, 5, 50, 2_000, -1])
    }

    /// Mostly the first page; else the one after the last one read of this list.
    pub fn page_token(&mut self, list: &str) -> String {
        match self.dice.weighted([70, 27, 3].into_iter()) {
            0 => String::new(),
            1 => self
                .world
                .page_tokens
                .get(list)
                .cloned()
                .unwrap_or_default(),
            _ => "none".to_owned(),
        }
    }

    /// A filter of these, or none.
    pub fn filter(&mut self, filters: &[&str]) -> String {
        match self.dice.weighted([60, 37, 3].into_iter()) {
            0 => String::new(),
            1 => (*self.dice.pick(filters)).to_owned(),
            _ => "colour = \"red\"".to_owned(),
        }
    }

    /// A time around now: from so many hours before to so many after.
    pub fn time(&mut self, hours_before: i64, hours_after: i64) -> prost_types::Timestamp {
        let hours = self.dice.between(-hours_before, hours_after);
        prost_types::Timestamp {
            seconds: self.now_seconds + hours * 3_600,
            nanos: 0,
        }
    }

    /// A person as the platform knows them.
    pub fn user(&mut self, id: &str) -> User {
        let domain = if id.ends_with(|last: char| last.is_ascii_digit() && last > '3') {
            "elsewhere.org"
        } else {
            "hamiltonschools.org"
        };
        User {
            user: id.to_owned(),
            display_name: format!("Person {id}"),
            email: format!("{id}@{domain}"),
            email_verified: self.dice.chance(80),
            external_id: if self.dice.chance(50) {
                id.to_owned()
            } else {
                String::new()
            },
        }
    }
}

/// A mask of these paths; of none, none.
#[must_use]
pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
    (!paths.is_empty()).then_some(prost_types::FieldMask { paths })
}
