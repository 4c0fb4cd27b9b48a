//! Prints the story, in color if the terminal supports it, otherwise as plain text.

use anstream::println;
use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::step::Step;

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const CALL: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const REFUSED: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// The number of characters of a value that are shown before it is cut.
const VALUE_CHARACTERS_MAX: usize = 96;

pub(crate) fn title(text: &str) {
    println!("\n{TITLE}{text}{TITLE:#}");
}

pub(crate) fn plain(text: &str) {
    println!("{text}");
}

/// Prints a call before it is made: the method, the caller and the request.
pub(crate) fn call(step: &Step, service: &str) {
    println!("\n  {}", step.says);
    println!(
        "  {QUIET}{} calls{QUIET:#} {CALL}{service}/{}{CALL:#}",
        step.by.user,
        step.calls.rsplit('/').next().unwrap_or(step.calls),
    );
    println!("    {QUIET}{}{QUIET:#}", step.with);
}

/// Prints an expected answer.
pub(crate) fn answered(fields: &[(String, String)]) {
    println!("    {GOOD}OK{GOOD:#}");
    for (name, value) in fields {
        let value = if value.is_empty() { "(none)" } else { value };
        println!("       {QUIET}{name}{QUIET:#} {}", cut(value));
    }
}

/// Prints an expected refusal.
pub(crate) fn refused(code: &str, reason: &str, message: &str, retry_after_seconds: Option<u64>) {
    println!("    {REFUSED}{code} {reason}{REFUSED:#} {QUIET}as it should{QUIET:#}");
    println!("       {message}");
    if let Some(seconds) = retry_after_seconds {
        println!("       {QUIET}retry after{QUIET:#} {seconds} s");
    }
}

/// Prints an unexpected result of a step.
pub(crate) fn wrong(what: &[String]) {
    println!("    {BAD}NOT AS IT SHOULD{BAD:#}");
    for line in what {
        println!("       {line}");
    }
}

pub(crate) fn whole_answer(answer: &Value) {
    println!("       {QUIET}{answer}{QUIET:#}");
}

pub(crate) fn ending(good: bool, text: &str) {
    let style = if good { GOOD } else { BAD };
    println!("\n{style}{text}{style:#}");
}

fn cut(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARACTERS_MAX {
        return value.to_owned();
    }
    let kept: String = value.chars().take(VALUE_CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_at_its_96th_character() {
        assert_eq!(cut(&"ä".repeat(96)), "ä".repeat(96));
        assert_eq!(cut(&"ä".repeat(97)), format!("{}…", "ä".repeat(95)));
    }
}
