//! The values on the command line that this program checks itself.

use chrono::TimeDelta;
use homeroom_kit::auth::{SUBJECT_BYTES_MAX, Scope, Scopes};

/// The longest validity of a token made on the command line, in days.
const TOKEN_LIFE_DAYS_MAX: i64 = 365;

/// The most items that a list on the command line shows.
const LIST_ITEMS_MAX: usize = 100_000;

/// Parses the `sub` of a token.
pub(crate) fn subject(text: &str) -> Result<String, String> {
    let printable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && printable {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a `sub` has 1 to {SUBJECT_BYTES_MAX} printable ASCII characters"
        ))
    }
}

/// Parses the names of scopes.
pub(crate) fn scopes(text: &str) -> Result<Scopes, String> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    let read: Option<Scopes> = names.map(Scope::parse).collect();
    read.filter(|scopes| *scopes != Scopes::NONE)
        .ok_or_else(|| format!("the scopes are {}", Scopes::all()))
}

/// Parses the most items of a list: 1 to [`LIST_ITEMS_MAX`].
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    let parsed = text.parse().ok();
    parsed
        .filter(|limit| (1..=LIST_ITEMS_MAX).contains(limit))
        .ok_or_else(|| format!("write a number from 1 to {LIST_ITEMS_MAX}"))
}

/// Parses `90s`, `15m`, `1h` or `30d`: 1 second to [`TOKEN_LIFE_DAYS_MAX`] days.
pub(crate) fn life(text: &str) -> Result<TimeDelta, String> {
    let wrong =
        || format!("write a whole number and one of s, m, h, d; at most {TOKEN_LIFE_DAYS_MAX}d");
    let unit_seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    text.get(..text.len() - 1)
        .and_then(|digits| digits.parse::<u32>().ok())
        .and_then(|count| TimeDelta::try_seconds(i64::from(count) * unit_seconds))
        .filter(|life| {
            *life >= TimeDelta::seconds(1) && *life <= TimeDelta::days(TOKEN_LIFE_DAYS_MAX)
        })
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_1_to_255_printable_characters() {
        for right in ["ada", "school/ada lovelace", &"s".repeat(SUBJECT_BYTES_MAX)] {
            assert_eq!(subject(right).as_deref(), Ok(right));
        }
        for wrong in ["", "ä", "a\tb", &"s".repeat(SUBJECT_BYTES_MAX + 1)] {
            assert!(subject(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_shows_1_to_100000_items() {
        assert_eq!((limit("1"), limit("100000")), (Ok(1), Ok(LIST_ITEMS_MAX)));
        assert!(
            ["0", "100001", "-1", "many"]
                .iter()
                .all(|text| limit(text).is_err())
        );
    }

    #[test]
    fn a_life_is_a_number_and_a_unit() {
        assert_eq!(life("90s"), Ok(TimeDelta::seconds(90)));
        assert_eq!(life("15m"), Ok(TimeDelta::minutes(15)));
        assert_eq!(life("1h"), Ok(TimeDelta::hours(1)));
        assert_eq!(life("365d"), Ok(TimeDelta::days(365)));
        for wrong in ["", "h", "1", "0s", "-1h", "366d", "1w", "1.5h", "1é"] {
            assert!(life(wrong).is_err(), "{wrong}");
        }
        assert!(life("4294967296s").is_err());
    }

    #[test]
    fn one_value_holds_several_scopes_and_an_unknown_one_is_answered_with_the_known_ones() {
        let both: Scopes = [Scope::ActAs, Scope::Vouch].into_iter().collect();
        for text in [
            "homeroom.act_as homeroom.vouch",
            "homeroom.vouch,homeroom.act_as",
            " homeroom.act_as,  homeroom.vouch ",
        ] {
            assert_eq!(scopes(text), Ok(both), "{text}");
        }
        for wrong in [
            "vouch",
            "",
            " ",
            ",",
            "homeroom.vouch openid",
            "homeroom.vouch;homeroom.act_as",
        ] {
            assert!(
                scopes(wrong).unwrap_err().contains("homeroom.platform"),
                "{wrong}"
            );
        }
    }
}
