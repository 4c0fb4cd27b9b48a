//! Resource names and ids: each is parsed in one way, and written out unchanged.

use std::fmt::Display;

use homeroom_api::{
    ids::{ClassId, InvalidId, OrganizationId, UserId},
    names::{
        ClassName, InvitationKind, InvitationName, JoinRequestName, MemberName, OrganizationName,
        Place, RedemptionName, SeatUsageName, UserName,
    },
};

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let text = &*text;
    let organization = is_written_as_read(text, OrganizationName::parse);
    let class = is_written_as_read(text, ClassName::parse);
    assert_eq!(
        is_written_as_read(text, Place::parse),
        organization || class,
        "{text}"
    );
    // No text is the name of two things.
    let kinds = [
        organization,
        class,
        is_written_as_read(text, UserName::parse),
        is_written_as_read(text, MemberName::parse),
        is_written_as_read(text, JoinRequestName::parse),
        is_written_as_read(text, RedemptionName::parse),
        is_written_as_read(text, SeatUsageName::parse),
    ];
    let invitations = InvitationKind::ALL
        .map(|kind| is_written_as_read(text, |text| InvitationName::parse_as(kind, text)));
    let names = kinds.iter().chain(&invitations).filter(|is| **is).count();
    assert!(names <= 1, "{text}");

    is_written_as_read(text, OrganizationId::parse);
    is_written_as_read(text, ClassId::parse);
    is_written_as_read(text, UserId::parse);
    // A valid id makes a valid name.
    if let Ok(id) = OrganizationId::parse(text) {
        assert!((3..=63).contains(&text.len()));
        let name = format!("organizations/{id}");
        assert!(Place::parse(&name).is_ok_and(|place| *place.organization() == id));
    }
    if let Ok(id) = ClassId::parse(text) {
        let name = format!("organizations/hamilton/classes/{id}");
        assert!(ClassName::parse(&name).is_ok_and(|name| name.class == id));
    }
    if let Ok(id) = UserId::parse(text) {
        assert!((1..=800).contains(&text.len()));
        let name = format!("organizations/hamilton/members/{id}");
        assert!(MemberName::parse(&name).is_ok_and(|name| name.user == id));
    }
}

fn is_written_as_read<T: Display>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, InvalidId>,
) -> bool {
    match parse(text) {
        Ok(read) => {
            assert_eq!(read.to_string(), text);
            assert!(text.is_ascii() && !text.contains("//"));
            true
        }
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            false
        }
    }
}
