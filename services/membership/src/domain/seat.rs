//! Licensed seats: held by an organization's Students (R7), never oversold, never lost (B14).

use serde::{Deserialize, Serialize};

use super::member::Role;

/// An organization's seat limit and the seats in use; read and written under the organization's lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// Licensed seats; 0: no limit.
    #[serde(rename = "seat_limit")]
    pub limit: i64,
    /// Seats held: the organization's Students.
    #[serde(rename = "seats_used")]
    pub used: i64,
    /// Join requests that wait; they hold no seat (X9).
    #[serde(rename = "requests_waiting")]
    pub waiting: i64,
}

/// The error if every licensed seat is held (`NO_SEATS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("every licensed seat is taken")]
pub struct NoSeats;

impl Seats {
    /// Returns the number of free seats; None without a limit. Never negative: 0 if the limit was lowered below the
    /// seats in use.
    #[must_use]
    pub const fn available(self) -> Option<i64> {
        if self.limit == 0 {
            return None;
        }
        let free = self.limit - self.used;
        Some(if free > 0 { free } else { 0 })
    }

    /// Returns the seats after one more is taken.
    pub const fn take(self) -> Result<Self, NoSeats> {
        if self.limit > 0 && self.used >= self.limit {
            return Err(NoSeats);
        }
        Ok(Self {
            used: self.used + 1,
            ..self
        })
    }

    /// Returns the seats after one is freed.
    #[must_use]
    pub const fn free(self) -> Self {
        Self {
            used: self.used - 1,
            ..self
        }
    }

    /// Returns the seats after a person's organization role changes from `before` to `after`, where None stands for a
    /// person outside: becoming a Student takes a seat, ceasing to be one frees it, any other change leaves the seats
    /// alone (R7).
    pub fn change(self, before: Option<Role>, after: Option<Role>) -> Result<Self, NoSeats> {
        match (holds_seat(before), holds_seat(after)) {
            (false, true) => self.take(),
            (true, false) => Ok(self.free()),
            (false, false) | (true, true) => Ok(self),
        }
    }

    /// Returns the seats after the number of waiting requests changes by `requests`, which may be negative.
    #[must_use]
    pub const fn waiting_more(self, requests: i64) -> Self {
        Self {
            waiting: self.waiting + requests,
            ..self
        }
    }
}

/// Returns true if a person with this organization role holds a seat.
#[must_use]
pub fn holds_seat(organization_role: Option<Role>) -> bool {
    organization_role == Some(Role::Student)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seats(limit: i64, used: i64) -> Seats {
        Seats {
            limit,
            used,
            waiting: 0,
        }
    }

    #[test]
    fn b14_seats_are_taken_up_to_the_limit_and_not_past_it() {
        for (limit, used, taken) in [
            (0, 0, Ok(1)),
            (0, 1_000_000_000, Ok(1_000_000_001)),
            (1, 0, Ok(1)),
            (1, 1, Err(NoSeats)),
            (300, 299, Ok(300)),
            (300, 300, Err(NoSeats)),
            (300, 301, Err(NoSeats)),
        ] {
            let after = seats(limit, used).take();
            assert_eq!(after.map(|after| after.used), taken, "{used} of {limit}");
        }
    }

    #[test]
    fn r7_only_becoming_or_ceasing_to_be_a_student_moves_a_seat() {
        use Role::{Admin, Student, Teacher};
        for (before, after, used) in [
            (None, Some(Student), 6),
            (None, Some(Teacher), 5),
            (None, Some(Admin), 5),
            (Some(Student), None, 4),
            (Some(Teacher), None, 5),
            (Some(Student), Some(Teacher), 4),
            (Some(Admin), Some(Student), 6),
            (Some(Student), Some(Student), 5),
            (Some(Teacher), Some(Admin), 5),
        ] {
            let changed = seats(10, 5).change(before, after).unwrap();
            assert_eq!(changed.used, used, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn r7_a_full_organization_still_lets_students_stay_and_leave() {
        let full = seats(5, 5);
        assert_eq!(full.change(None, Some(Role::Student)), Err(NoSeats));
        let (student, teacher) = (Some(Role::Student), Some(Role::Teacher));
        assert_eq!(full.change(teacher, student), Err(NoSeats));
        assert_eq!(full.change(student, student), Ok(full));
        assert_eq!(full.change(student, None), Ok(seats(5, 4)));
        assert_eq!(full.change(None, Some(Role::Teacher)), Ok(full));
    }

    #[test]
    fn available_seats_are_absent_without_a_limit_and_never_negative() {
        assert_eq!(seats(0, 7).available(), None);
        assert_eq!(seats(10, 7).available(), Some(3));
        assert_eq!(seats(10, 10).available(), Some(0));
        assert_eq!(seats(5, 10).available(), Some(0));
    }

    proptest! {
        #[test]
        fn i1_whatever_happens_seats_used_are_the_students_and_never_above_the_limit(
            limit in 1_i64..20,
            steps in prop::collection::vec((0_usize..30, prop::option::of(0_usize..3)), 0..200),
        ) {
            let organization_roles = [Role::Admin, Role::Teacher, Role::Student];
            let mut people = [None; 30];
            let mut seats = Seats {
                limit,
                ..Seats::default()
            };
            for (person, role) in steps {
                let after = role.map(|role| organization_roles[role]);
                if let Ok(changed) = seats.change(people[person], after) {
                    people[person] = after;
                    seats = changed;
                }
                let students = people.iter().filter(|role| holds_seat(**role)).count();
                prop_assert_eq!(seats.used, i64::try_from(students).unwrap());
                prop_assert!(seats.used <= limit);
            }
        }
    }
}
