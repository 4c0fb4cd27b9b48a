use super::*;

const ID: &str = "01900000-0000-7000-8000-000000000001";

#[test]
fn each_name_is_written_as_it_was_read() {
    let class = "organizations/hamilton/classes/bio-101";
    assert_eq!(Place::parse(class).unwrap().to_string(), class);
    for text in [
        format!("{class}/joinRequests/{ID}"),
        format!("organizations/hamilton/joinRequests/{ID}"),
    ] {
        assert_eq!(JoinRequestName::parse(&text).unwrap().to_string(), text);
    }
    for (kind, text) in [
        (InvitationKind::ClassToken, format!("{class}/tokens/{ID}")),
        (
            InvitationKind::EnrollmentCode,
            format!("{class}/enrollmentCodes/{ID}"),
        ),
        (
            InvitationKind::EnrollmentCode,
            format!("organizations/hamilton/enrollmentCodes/{ID}"),
        ),
        (InvitationKind::ClassCode, format!("{class}/classCode")),
        (InvitationKind::JoinUrl, format!("{class}/joinUrl")),
        (
            InvitationKind::OrganizationToken,
            "organizations/hamilton/inviteToken".to_owned(),
        ),
    ] {
        let name = InvitationName::parse(&text).unwrap();
        assert_eq!((name.kind, name.to_string()), (kind, text));
    }
    let text = format!("{class}/members/auth0|1");
    assert_eq!(MemberName::parse(&text).unwrap().to_string(), text);
}

#[test]
fn a_user_is_a_person() {
    assert_eq!(
        UserName::parse("users/ada").unwrap().to_string(),
        "users/ada"
    );
    for nobody in ["system", &format!("erased-{ID}")] {
        assert!(UserName::parse(&format!("users/{nobody}")).is_err());
        // Names that events contain can be read back.
        let member = format!("organizations/hamilton/members/{nobody}");
        assert_eq!(MemberName::parse(&member).unwrap().to_string(), member);
    }
}

#[test]
fn names_of_another_shape_are_refused() {
    for text in [
        "",
        "/",
        "organizations",
        "organizations/",
        "organizations/hamilton/",
        "organizations/hamilton/classes",
        "organizations/hamilton/classes/",
        "organizations/Hamilton",
        "organizations/hamilton/classes/bio/extra",
        "organizations/-",
    ] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
    for text in [
        "organizations/hamilton/inviteToken/",
        "organizations/hamilton/classes/bio-101/inviteToken",
        "inviteToken",
        "organizations/hamilton/classCode",
        "organizations/hamilton/joinUrl",
        &format!("organizations/hamilton/tokens/{ID}"),
        "organizations/hamilton/enrollmentCodes/1",
    ] {
        assert_eq!(InvitationName::parse(text), None, "{text}");
    }
    assert!(ClassName::parse("organizations/hamilton").is_err());
    assert!(JoinRequestName::parse("organizations/hamilton/joinRequests/1").is_err());
    assert!(JoinRequestName::parse(&format!("organizations/hamilton/xjoinRequests/{ID}")).is_err());
}

#[test]
fn each_kind_stands_in_its_row() {
    for kind in InvitationKind::ALL {
        assert_eq!(InvitationKind::from_tag(kind.tag()), Some(kind));
    }
    assert_eq!(InvitationKind::from_tag("CLASS_CODE"), None);
}

proptest::proptest! {
    #[test]
    fn what_reads_is_written_as_it_was_read(text in "(organizations/[a-z]{2,4}|users/[ -~]{1,4})(/classes/[a-z0-9-]{3,5})?(/(members|tokens|joinRequests|enrollmentCodes|redemptions)/[0-9a-zA-Z|@{}-]{1,40}|/inviteToken|/classCode|/joinUrl|/seatUsage)?|.{0,40}") {
        let written = [
            Place::parse(&text).map(|name| name.to_string()),
            ClassName::parse(&text).map(|name| name.to_string()),
            OrganizationName::parse(&text).map(|name| name.to_string()),
            UserName::parse(&text).map(|name| name.to_string()),
            MemberName::parse(&text).map(|name| name.to_string()),
            JoinRequestName::parse(&text).map(|name| name.to_string()),
            RedemptionName::parse(&text).map(|name| name.to_string()),
            SeatUsageName::parse(&text).map(|name| name.to_string()),
        ];
        let invitation = InvitationName::parse(&text).map(|name| name.to_string());
        for written in written.into_iter().flatten().chain(invitation) {
            proptest::prop_assert_eq!(&written, &text);
        }
    }
}
