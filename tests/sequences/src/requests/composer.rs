//! Composes random requests from what is known.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use homeroom_tests::dice::Dice;
use prost_reflect::{Kind, MethodDescriptor};
use serde_json::{Value, json};

use crate::world::{ADMIN, CO_TEACHER, FIRST_STUDENT, TEACHER, World};

/// The end of a resource name that nothing has.
const NONE: &str = "01900000-0000-7000-8000-000000000000";

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The platform, with every scope, acting for itself.
    Platform,
    /// The platform, without the scope `homeroom.platform`, acting for this user.
    For(String),
}

/// The source of random requests.
pub struct Composer<'world> {
    /// The random numbers.
    pub dice: Dice,
    /// The key that calls share to use one credential.
    pub focus: Option<u64>,
    /// The state that the callers know.
    pub world: &'world World,
    /// The time of the services' clock.
    pub now: DateTime<Utc>,
}

impl Composer<'_> {
    /// Adds what requests of many methods have: a request id, an etag, and the size and token of a
    /// page.
    pub fn complete(&mut self, method: &MethodDescriptor, body: &mut Value) {
        let input = method.input();
        let Value::Object(fields) = body else { return };
        if input.get_field_by_name("request_id").is_some() && !fields.contains_key("request_id") {
            fields.insert("request_id".to_owned(), self.request_id().into());
        }
        if input.get_field_by_name("page_token").is_some() {
            fields.insert(
                "page_token".to_owned(),
                self.page_token(method.name()).into(),
            );
        }
        if input.get_field_by_name("page_size").is_some() {
            let size = *self.dice.pick(&[0, 1, 2, 5, 50, 2_000, -1]);
            fields.insert("page_size".to_owned(), size.into());
        }
        if input.get_field_by_name("etag").is_some() {
            let etag = self.etag(&fields["name"]);
            fields.insert("etag".to_owned(), etag.into());
        }
        for (field, value) in fields {
            let kind = input.get_field_by_name(field).map(|field| field.kind());
            if let (Some(Kind::Message(message)), Value::Object(resource)) = (kind, value)
                && message.get_field_by_name("etag").is_some()
                && let Some(name) = resource.get("name")
            {
                let etag = self.etag(name);
                resource.insert("etag".to_owned(), etag.into());
            }
        }
    }

    /// Returns one of these in proportion to its weight.
    pub fn of<T: Clone>(&mut self, choice: &[(u32, T)]) -> T {
        let weights = choice.iter().map(|(weight, _)| *weight);
        choice[self.dice.weighted(weights)].1.clone()
    }

    /// Returns a staff caller: mostly the administrator or the teacher.
    pub fn staff(&mut self) -> Caller {
        let person = self.of(&[
            (50, ADMIN),
            (38, TEACHER),
            (6, CO_TEACHER),
            (6, FIRST_STUDENT),
        ]);
        Caller::For(self.world.people[person].clone())
    }

    /// Returns a staff caller who decides requests; the co-teacher is among them.
    pub fn decider(&mut self) -> Caller {
        let person = self.of(&[(4, ADMIN), (4, TEACHER), (2, CO_TEACHER)]);
        Caller::For(self.world.people[person].clone())
    }

    /// Returns the platform in this percentage of cases, otherwise staff.
    pub fn platform_or_staff(&mut self, percent: usize) -> Caller {
        if self.dice.chance(percent) {
            Caller::Platform
        } else {
            self.staff()
        }
    }

    /// Returns staff, or the person, who then leaves.
    pub fn staff_or(&mut self, person: &str) -> Caller {
        if self.dice.chance(30) {
            Caller::For(person.to_owned())
        } else {
            self.staff()
        }
    }

    /// Mostly returns the last person who waits, otherwise anyone.
    pub fn who_waits(&mut self) -> Caller {
        let mut known = self.world.acknowledged.iter().rev();
        let last = known.find(|known| known.outcome == "PENDING_APPROVAL");
        match last {
            Some(known) if self.dice.chance(85) => Caller::For(known.user.clone()),
            _ => self.oneself(),
        }
    }

    /// Returns the id of a person.
    pub fn anyone(&mut self) -> String {
        self.dice.pick(&self.world.people).clone()
    }

    /// Returns the id of a student.
    pub fn student(&mut self) -> String {
        self.dice.pick(&self.world.people[FIRST_STUDENT..]).clone()
    }

    /// Returns the id of a student in this percentage of cases, otherwise of anyone.
    pub fn student_mostly(&mut self, percent: usize) -> String {
        if self.dice.chance(percent) {
            self.student()
        } else {
            self.anyone()
        }
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

    /// Returns the name of an organization, or of all of them for the platform.
    pub fn everywhere(&mut self, place: impl Fn(&mut Self) -> String) -> (Caller, String) {
        if self.dice.chance(10) {
            (Caller::Platform, "organizations/-".to_owned())
        } else {
            (self.staff(), place(self))
        }
    }

    /// Returns the name of something of the class's collection: a known one, or an absent one.
    pub fn one_of(&mut self, names: &[String], collection: &str) -> String {
        let absent = || format!("{}/{collection}/{NONE}", self.world.classes[0]);
        self.dice.pick_from(names).cloned().unwrap_or_else(absent)
    }

    /// Returns the name of a token.
    pub fn token(&mut self) -> String {
        self.one_of(&self.world.tokens, "tokens")
    }

    /// Returns the name of an enrollment code.
    pub fn enrollment_code(&mut self) -> String {
        self.one_of(&self.world.enrollment_codes, "enrollmentCodes")
    }

    /// Returns the name of a join request: mostly one of the latest, which wait.
    pub fn join_request(&mut self) -> String {
        let known = &self.world.join_requests;
        let latest = known.len().saturating_sub(2);
        let first = if self.dice.chance(70) { latest } else { 0 };
        self.one_of(&known[first..], "joinRequests")
    }

    /// Returns the name of a redemption and its place and user, if one is known.
    pub fn redemption(&mut self) -> (String, Option<(String, String)>) {
        if let Some(known) = self.dice.pick_from(&self.world.acknowledged).cloned() {
            return (known.redemption, Some((known.place, known.user)));
        }
        let organization = &self.world.organizations[0];
        (format!("{organization}/redemptions/{NONE}"), None)
    }

    /// Returns the name of an invitation.
    pub fn invitation(&mut self) -> String {
        match self.dice.pick_from(&self.world.credentials) {
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
        let latest = known.len().saturating_sub(4);
        let first = if self.dice.chance(50) { latest } else { 0 };
        let text = self.dice.pick(&known[first..]).text.clone();
        if self.dice.chance(5) {
            format!(" {}. ", text.to_lowercase())
        } else {
            text
        }
    }

    /// Returns a redemption for this user.
    pub fn attempt(&mut self, user: &str) -> Value {
        let organization = self.dice.chance(15).then(|| self.organization());
        json!({
            "credential": self.credential(),
            "organization": organization,
            "user": self.user(user),
            "sign_up": self.dice.chance(4),
            "client_ip": self.dice.chance(30).then_some("203.0.113.7"),
            "request_id": self.request_id(),
        })
    }

    /// Returns a request id, or an empty string.
    fn request_id(&mut self) -> String {
        if self.dice.chance(30) {
            String::new()
        } else {
            self.dice.request_id()
        }
    }

    /// Mostly returns no etag; otherwise the one last seen, or a wrong one.
    fn etag(&mut self, name: &Value) -> String {
        let last = self.world.etags.get(name.as_str().unwrap_or_default());
        let last = last.cloned().unwrap_or_default();
        self.of(&[(80, String::new()), (15, last), (5, "\"99\"".to_owned())])
    }

    /// Mostly returns the token of the first page; otherwise that of the page after the last one
    /// read of this list.
    fn page_token(&mut self, list: &str) -> String {
        let next = self.world.page_tokens.get(list).cloned();
        let next = next.unwrap_or_default();
        self.of(&[(70, String::new()), (27, next), (3, "none".to_owned())])
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
    pub fn time(&mut self, hours_before: i64, hours_after: i64) -> String {
        let hours = self.dice.between(-hours_before, hours_after);
        (self.now + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Returns such a time in this percentage of cases.
    pub fn time_sometimes(&mut self, percent: usize, before: i64, after: i64) -> Option<String> {
        self.dice.chance(percent).then(|| self.time(before, after))
    }

    /// Returns a person as the platform knows them.
    pub fn user(&mut self, id: &str) -> Value {
        json!({
            "user": id,
            "display_name": format!("Person {id}"),
            "email": email_of(id),
            "email_verified": self.dice.chance(80),
            "external_id": self.dice.chance(50).then_some(id),
        })
    }
}

/// Returns a person's email address.
pub fn email_of(id: &str) -> String {
    let is_elsewhere = id.ends_with(|last: char| last.is_ascii_digit() && last > '3');
    let domain = if is_elsewhere {
        "elsewhere.org"
    } else {
        "hamiltonschools.org"
    };
    format!("{id}@{domain}")
}
