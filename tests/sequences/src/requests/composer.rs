//! Composes random requests from what is known.

use std::fmt::Debug;

use homeroom_api::common::v1::User;
use prost::Message;
use uuid::Uuid;

use crate::{
    dice::Dice,
    world::{ADMIN, CO_TEACHER, FIRST_STUDENT, TEACHER, World},
};

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The platform, with every scope, acting for itself.
    Platform,
    /// The platform, without the scope `homeroom.platform`, acting for this user.
    For(String),
}

/// The effect of a call on the credentials of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// No effect.
    Nothing,
    /// Once the call is answered, nobody gets in by these texts.
    Ends(Vec<String>),
    /// The credentials of these invitations, and those that end in these codes, may work again.
    Revives(Vec<String>),
}

/// A composed call.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller.
    pub caller: Caller,
    /// The encoded message.
    pub body: Vec<u8>,
    /// The message in readable form.
    pub text: String,
    /// True if a retry gets the same answer (R3).
    pub has_request_id: bool,
    /// The credentials that it redeems.
    pub credentials: Vec<String>,
    /// True, for each credential, if a retry gets the same answer.
    pub safe_to_retry: Vec<bool>,
    /// The users, in the same order.
    pub users: Vec<String>,
    /// The effect on credentials.
    pub effect: Effect,
    /// The user whom it erases: stored answers that name them are forgotten from now on (R13).
    pub erases: Option<String>,
}

impl Request {
    /// Returns a request without further effects.
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

    /// Returns the request with its effect on credentials.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }
}

/// The source of random requests.
pub struct Composer<'world> {
    /// The random numbers.
    pub dice: Dice,
    /// The key that calls share to use one credential.
    pub focus: Option<u64>,
    /// The state that the callers know.
    pub world: &'world World,
    /// The services' clock, in seconds since the epoch.
    pub now_seconds: i64,
}

impl Composer<'_> {
    /// Returns a staff caller: mostly the administrator or the teacher.
    pub fn staff(&mut self) -> Caller {
        let place = self.dice.weighted([50, 38, 6, 6].into_iter());
        let person = [ADMIN, TEACHER, CO_TEACHER, FIRST_STUDENT][place];
        Caller::For(self.world.people[person].clone())
    }

    /// Returns a staff caller who decides requests; the co-teacher is among them.
    pub fn decider(&mut self) -> Caller {
        let place = self.dice.weighted([4, 4, 2].into_iter());
        Caller::For(self.world.people[[ADMIN, TEACHER, CO_TEACHER][place]].clone())
    }

    /// Returns the id of a person.
    pub fn anyone(&mut self) -> String {
        self.dice.pick(&self.world.people).clone()
    }

    /// Returns the id of a student.
    pub fn student(&mut self) -> String {
        self.dice.pick(&self.world.people[FIRST_STUDENT..]).clone()
    }

    /// Returns a caller who acts for themselves.
    pub fn oneself(&mut self) -> Caller {
        Caller::For(self.anyone())
    }

    /// Returns the name of an organization: mostly the first, sometimes an absent one.
    pub fn organization(&mut self) -> String {
        match self.dice.weighted([80, 17, 3].into_iter()) {
            0 => self.world.organizations[0].clone(),
            1 => self.dice.pick(&self.world.organizations).clone(),
            _ => format!("organizations/{}-none", self.world.tag),
        }
    }

    /// Returns the name of a class: mostly the first, sometimes an absent one.
    pub fn class(&mut self) -> String {
        match self.dice.weighted([70, 27, 3].into_iter()) {
            0 => self.world.classes[0].clone(),
            1 => self.dice.pick(&self.world.classes).clone(),
            _ => format!("organizations/{}-a/classes/none", self.world.tag),
        }
    }

    /// Returns the name of a class or an organization.
    pub fn place(&mut self) -> String {
        if self.dice.chance(60) {
            self.class()
        } else {
            self.organization()
        }
    }

    /// Returns a known name, or `absent`.
    pub fn known(&mut self, names: &[String], absent: &str) -> String {
        let none = || format!("{absent}/01900000-0000-7000-8000-000000000000");
        self.dice.pick_from(names).cloned().unwrap_or_else(none)
    }

    /// Returns the name of an invitation.
    pub fn invitation(&mut self) -> String {
        let known = self.dice.pick_from(&self.world.credentials);
        match known {
            Some(known) => known.invitation.clone(),
            None => format!("{}/classCode", self.class()),
        }
    }

    /// Returns a credential: mostly one that works or did, sometimes a guess.
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
        // The latest credentials are the most likely to work.
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

    /// Returns a request id, or an empty string.
    pub fn request_id(&mut self) -> String {
        if self.dice.chance(30) {
            return String::new();
        }
        // The id has version 7 and begins with 0, so that it depends on the random numbers alone.
        let high = (self.dice.roll() >> 8) & 0xffff_ffff_ffff_0fff | 0x7000;
        let low = (self.dice.roll() >> 2) | (1 << 63);
        Uuid::from_u64_pair(high, low).to_string()
    }

    /// Mostly returns no etag; otherwise the one last seen, or a wrong one.
    pub fn etag(&mut self, name: &str) -> String {
        match self.dice.weighted([80, 15, 5].into_iter()) {
            0 => String::new(),
            1 => self.world.etags.get(name).cloned().unwrap_or_default(),
            _ => "\"99\"".to_owned(),
        }
    }

    /// Returns a page size: small, unset or invalid.
    pub fn page_size(&mut self) -> i32 {
        *self.dice.pick(&[0, 1, 2, 5, 50, 2_000, -1])
    }

    /// Mostly returns the token of the first page; otherwise that of the page after the last one
    /// read of this list.
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

    /// Returns one of these filters, or none.
    pub fn filter(&mut self, filters: &[&str]) -> String {
        match self.dice.weighted([60, 37, 3].into_iter()) {
            0 => String::new(),
            1 => (*self.dice.pick(filters)).to_owned(),
            _ => "color = \"red\"".to_owned(),
        }
    }

    /// Returns a time from `hours_before` hours ago to `hours_after` hours from now.
    pub fn time(&mut self, hours_before: i64, hours_after: i64) -> prost_types::Timestamp {
        let hours = self.dice.between(-hours_before, hours_after);
        prost_types::Timestamp {
            seconds: self.now_seconds + hours * 3_600,
            nanos: 0,
        }
    }

    /// Returns a person as the platform knows them.
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

/// Returns a mask of these paths, or `None` if there are none.
#[must_use]
pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
    (!paths.is_empty()).then_some(prost_types::FieldMask { paths })
}
