//! Everything that the hand-outs say, in English. Arguments are HTML.

/// Describes a QR code to those who do not see it.
pub(super) const QR_LABEL: &str = "QR code";
/// Names the platform where no link tells its address.
pub(super) const SITE_UNKNOWN: &str = "your learning platform";

const SIGN_IN: &str = "Sign in, or make an account.";
const JOIN: &str = "Check the name of the class, and join.";

/// Returns the title of a sheet of slips.
pub(super) fn slips_title(class: &str) -> String {
    format!("Slips: {class}")
}

/// Returns the steps of a slip.
pub(super) fn slip_steps(site: &str) -> [String; 3] {
    [
        format!(
            "Scan the square with a phone or tablet. Or open <b>{site}</b> and type the words in large letters."
        ),
        SIGN_IN.to_owned(),
        JOIN.to_owned(),
    ]
}

/// Returns the last line of a slip.
pub(super) fn slip_ends(date: &str) -> String {
    format!("Until {date}, for you alone.")
}

/// Returns the steps of a class code.
pub(super) fn class_code_steps(site: &str) -> [String; 3] {
    [
        format!("Scan the square with a phone or tablet. Or open <b>{site}</b> and type the code."),
        SIGN_IN.to_owned(),
        JOIN.to_owned(),
    ]
}

/// Returns the steps of an enrollment code, whose square holds no address.
pub(super) fn enrollment_code_steps(site: &str) -> [String; 3] {
    [
        format!("Open <b>{site}</b>."),
        SIGN_IN.to_owned(),
        "Type the code, or scan the square there, and join.".to_owned(),
    ]
}

/// Returns the steps of a join URL.
pub(super) fn join_url_steps() -> [String; 3] {
    [
        "Scan the square with a phone or tablet. Or type the address.".to_owned(),
        "Sign in.".to_owned(),
        "Ask to join. Your teacher lets you in.".to_owned(),
    ]
}

/// Returns the address under which a link lies, without its scheme; None if the text is no link.
pub(super) fn site_of(link: &str) -> Option<&str> {
    let (_, place) = link.split_once("://")?;
    // A link ends with the letter of its kind, and the credential.
    place.rsplitn(3, '/').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_link_has_no_credential() {
        for (link, site) in [
            ("https://join.example/t/amber-otter", Some("join.example")),
            (
                "http://127.0.0.1:8080/school/c/AAT5FJBE6KNX",
                Some("127.0.0.1:8080/school"),
            ),
            ("HAMILTON-BIO101", None),
        ] {
            assert_eq!(site_of(link), site);
        }
    }
}
