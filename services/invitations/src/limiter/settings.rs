//! The budgets as settings: `LIMITER_BUDGETS` and `CALLS_PER_MINUTE_MAX`.

use homeroom_kit::config::{Reader, parse_text};

use super::budget::{BUDGET_MAX, Budgets};

/// The setting that changes budgets, as `name=number` with commas between them.
pub const LIMITER_BUDGETS: &str = "LIMITER_BUDGETS";
/// The setting that limits the attempts of one calling service each minute.
pub const CALLS_PER_MINUTE_MAX: &str = "CALLS_PER_MINUTE_MAX";

impl Budgets {
    /// Returns the default budgets with the changes of the settings, and reports every mistake in them. Each budget is
    /// a whole number of at most [`BUDGET_MAX`], and may be named once.
    #[must_use]
    pub fn read(reader: &mut Reader) -> Self {
        let mut budgets = Self {
            calling_service_attempts_per_minute: reader
                .optional(CALLS_PER_MINUTE_MAX, parse_calls_per_minute),
            ..Self::default()
        };
        if let Some(text) = reader.optional(LIMITER_BUDGETS, parse_text) {
            let mut mistakes = budgets.set_all(&text);
            // A budget that could not be read keeps its default, so these are separate mistakes.
            mistakes.extend(budgets.problems());
            for mistake in mistakes {
                reader.error(LIMITER_BUDGETS, mistake);
            }
        }
        budgets
    }

    /// Sets the budgets that `text` names. Returns its mistakes.
    fn set_all(&mut self, text: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut named = Vec::new();
        for pair in text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (name.trim(), value.trim());
            let Some((name, _, field)) =
                Self::FIELDS.into_iter().find(|(known, ..)| *known == name)
            else {
                let known = Self::FIELDS.map(|(known, ..)| known).join(", ");
                mistakes.push(format!("has no budget named {name:?}; there are {known}"));
                continue;
            };
            if named.contains(&name) {
                mistakes.push(format!("names {name} twice"));
            }
            named.push(name);
            match value.parse() {
                Ok(value) => *field(self) = value,
                Err(_) => mistakes.push(format!(
                    "{name} is {value:?}; it must be a whole number, as in {name}=10"
                )),
            }
        }
        mistakes
    }
}

fn parse_calls_per_minute(text: &str) -> Result<u32, String> {
    let calls = text.trim().parse().ok();
    calls
        .filter(|calls| (1..=BUDGET_MAX).contains(calls))
        .ok_or_else(|| {
            format!("must be a whole number from 1 to {BUDGET_MAX}, or unset for no limit")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(budgets: &str) -> Result<Budgets, Vec<String>> {
        let source = [(LIMITER_BUDGETS, budgets)];
        let mut reader = Reader::new(&source);
        let budgets = Budgets::read(&mut reader);
        reader.finish().map(|()| budgets).map_err(|errors| errors.0)
    }

    #[test]
    fn r10_budgets_that_are_not_named_are_the_defaults() {
        assert_eq!(read(""), Ok(Budgets::default()));
        let changed = Budgets {
            user_daily: 40,
            address_admissions_max: 0,
            ..Budgets::default()
        };
        assert_eq!(
            read(" user_daily = 40, address_admissions_max=0,"),
            Ok(changed)
        );
    }

    #[test]
    fn r10_every_budget_can_be_set() {
        for (name, minimum, field) in Budgets::FIELDS {
            // A user's burst may be at most 120 beside the other budgets.
            let most = if name == "user_burst" {
                120
            } else {
                BUDGET_MAX
            };
            for value in [minimum.max(1), most] {
                let mut set = read(&format!("{name}={value}")).unwrap();
                assert_eq!(*field(&mut set), value, "{name}");
            }
            let said = read(&format!("{name}={}", BUDGET_MAX + 1)).unwrap_err();
            assert!(
                said[0].starts_with("LIMITER_BUDGETS ") && said[0].contains(name),
                "{said:?}"
            );
        }
    }

    #[test]
    fn r10_every_mistake_in_the_budgets_is_named_at_once() {
        let said = read(
            "user_burst=0,user_hourly=many,address_hourly,color=3,service_hourly=1000001,user_daily=5,user_daily=6",
        )
        .unwrap_err();
        assert_eq!(said.len(), 6, "{said:?}");
        for mistake in [
            "user_burst is 0; it must be 1 to",
            "user_hourly is \"many\"",
            "address_hourly is \"\"",
            "no budget named \"color\"; there are user_burst, user_hourly",
            "service_hourly is 1000001",
            "names user_daily twice",
        ] {
            assert!(
                said.iter().any(|line| line.contains(mistake)),
                "{mistake}: {said:?}"
            );
        }
        let said = read("user_burst=25,user_hourly=1").unwrap_err();
        assert!(said[0].contains("24 times user_hourly"), "{said:?}");
    }

    #[test]
    fn calls_per_minute_have_bounds() {
        assert_eq!(parse_calls_per_minute("1"), Ok(1));
        assert_eq!(parse_calls_per_minute("1000000"), Ok(BUDGET_MAX));
        for wrong in ["0", "1000001", "-1", "many"] {
            let said = parse_calls_per_minute(wrong).unwrap_err();
            assert!(said.contains("from 1 to 1000000"), "{said}");
        }
    }
}
