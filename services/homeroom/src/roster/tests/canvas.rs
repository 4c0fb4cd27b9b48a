//! The traps of Canvas SIS CSV.

use super::*;

const USERS: &str = "user_id,login_id,full_name,first_name,last_name,short_name,email,status\n\
    01103,ada,Augusta Ada King,Augusta,King,Ada Lovelace,ada@school.example,active\n\
    13aa3,bob,Robert B,Robert,B,<delete>,<delete>,active\n\
    13aa4,cy,,Cy,Young,,,suspended\n";
const SECTIONS: &str = "section_id,course_id,name,status\nS001,E411208,Section 1,active\n";
const COURSES: &str =
    "course_id,short_name,long_name,status\nE411208,ENG115,English Literature,active\n";

fn read_enrollments(enrollments: &str) -> Roster {
    // The names of the files say nothing.
    read_files(&[
        ("1.csv", enrollments),
        ("2.csv", USERS),
        ("3.csv", SECTIONS),
        ("4.csv", COURSES),
    ])
    .unwrap()
}

#[test]
fn kind_of_file_is_known_by_the_header_in_any_order_and_case() {
    let roster = read_enrollments("Status,ROLE,user_id,section_id\nactive,student,01103,S001\n");
    assert_eq!(roster.format, "Canvas SIS");
    assert_eq!(told(&roster), ["S001 01103 student"]);
    assert_eq!(
        &*roster.classes[roster.rows[0].class.unwrap() as usize].title,
        "Section 1"
    );
    let said = refused(&[("2.csv", USERS)]);
    assert!(said.contains("no file of enrollments"), "{said}");
}

#[test]
fn kind_of_file_enrollments_by_integration_id_alone_are_refused() {
    let said = refused(&[(
        "1.csv",
        "course_id,user_integration_id,role,status\nc,i,student,active\n",
    )]);
    assert!(said.contains("the header lacks user_id"), "{said}");
}

#[test]
fn names_the_short_one_is_shown_then_the_full_one_then_both_joined() {
    let roster = read_enrollments("user_id,section_id,role,status\n01103,S001,student,active\n");
    let names: Vec<_> = roster.people.iter().map(|one| &*one.display_name).collect();
    assert_eq!(names, ["Ada Lovelace", "Robert B", "Cy Young"]);
    // `<delete>` is a word, no name or address.
    assert_eq!(&*roster.people[1].email, "");
}

#[test]
fn users_that_are_suspended_or_deleted_are_not_enrolled_and_not_removed() {
    let roster = read_enrollments("user_id,section_id,role,status\n13aa4,S001,student,active\n");
    assert_eq!(told(&roster), ["S001 13aa4 keep"]);
    assert_eq!(roster.findings.left(Left::NotActive), 1);
}

#[test]
fn enrollments_are_in_the_section_or_else_in_the_course() {
    let roster = read_enrollments(
        "user_id,course_id,section_id,role,status\n01103,E411208,S001,student,active\n\
        13aa3,E411208,,student,active\n13aa3,,,student,active\n",
    );
    assert_eq!(
        told(&roster),
        ["S001 01103 student", "E411208 13aa3 student"]
    );
    assert!(
        said(&roster, Left::Unreadable)[0].contains("1.csv:4: neither section_id nor course_id")
    );
}

#[test]
fn status_is_compared_exactly_in_any_case() {
    let roster = read_enrollments(
        "user_id,section_id,role,status\n01103,S001,student,Active\n13aa3,S001,student,deleted_soon\n",
    );
    assert_eq!(told(&roster), ["S001 01103 student"]);
    assert!(said(&roster, Left::Unreadable)[0].contains("the status is \"deleted_soon\""));
}

#[test]
fn status_deleted_removes_and_completed_or_inactive_does_nothing() {
    let row =
        |status: &str| format!("user_id,section_id,role,status\n01103,S001,student,{status}\n");
    assert_eq!(
        told(&read_enrollments(&row("deleted"))),
        ["S001 01103 remove"]
    );
    for status in ["completed", "inactive", "deleted_last_completed"] {
        let roster = read_enrollments(&row(status));
        assert_eq!(told(&roster), ["S001 01103 keep"], "{status}");
        assert_eq!(roster.findings.left(Left::NotActive), 1);
    }
}

#[test]
fn roles_assistants_are_co_teachers_and_observers_and_designers_are_nobody() {
    let of = |role: &str| {
        let roster = read_enrollments(&format!(
            "user_id,section_id,role,status\n01103,S001,{role},active\n"
        ));
        told(&roster).remove(0)
    };
    assert_eq!(of("teacher"), "S001 01103 teacher");
    assert_eq!(of("ta"), "S001 01103 assistant");
    assert_eq!(of("observer"), "S001 01103 keep");
    assert_eq!(of("designer"), "S001 01103 keep");
}

#[test]
fn roles_of_the_account_are_unknown_unless_the_caller_says_what_they_mean() {
    let enrollments =
        "user_id,section_id,role,status\n01103,S001,Grader,active\n13aa3,S001,grader,active\n";
    let files = [("1.csv", enrollments)];
    let roles = [("Grader".to_owned(), Some(Role::Assistant))]
        .into_iter()
        .collect();
    let roster = read_as(
        &files,
        &Reading {
            roles,
            ..Reading::default()
        },
    )
    .unwrap();
    // Their case counts.
    assert_eq!(told(&roster), ["S001 01103 assistant", "S001 13aa3 keep"]);
    assert_eq!(said(&roster, Left::UnknownRole).len(), 1);
}

#[test]
fn dates_that_are_not_of_iso_8601_are_noted_and_not_used() {
    let roster = read_enrollments(
        "user_id,section_id,role,status,start_date\n01103,S001,student,active,2013-1-03 00:00:00\n\
        13aa3,S001,student,active,2013-01-03T00:00:00-06:00\n",
    );
    assert_eq!(told(&roster), ["S001 01103 student", "S001 13aa3 student"]);
    assert!(notes(&roster).contains("1.csv:2: 2013-1-03 00:00:00 is no date"));
}

#[test]
fn several_rows_with_two_roles_are_one_and_the_stronger_wins() {
    let roster = read_enrollments(
        "user_id,section_id,role,status\n01103,S001,ta,active\n01103,S001,student,active\n\
        13aa3,S001,student,active\n13aa3,S001,ta,deleted\n",
    );
    assert_eq!(
        told(&roster),
        ["S001 01103 assistant", "S001 13aa3 student"]
    );
}

#[test]
fn ids_are_text_of_any_kind() {
    let users = "user_id,login_id,status\n01103,a,active\n1B,b,active\n";
    let enrollments =
        "user_id,course_id,role,status\n01103,13aa3,student,active\n1B,13AA3,student,active\n";
    let roster = read_files(&[("a.csv", enrollments), ("b.csv", users)]).unwrap();
    assert_eq!(told(&roster), ["13aa3 01103 student", "13AA3 1B student"]);
    assert_eq!(&*roster.people[1].external_id, "1B");
}

#[test]
fn ids_another_column_may_hold_the_user_id() {
    let reading = Reading {
        user_column: Some("login_id".to_owned()),
        ..Reading::default()
    };
    let enrollments =
        "user_id,section_id,role,status\n01103,S001,student,active\n99,S001,student,active\n";
    let roster = read_as(&[("1.csv", enrollments), ("2.csv", USERS)], &reading).unwrap();
    assert_eq!(told(&roster), ["S001 ada student"]);
    assert!(
        said(&roster, Left::Orphan)[0]
            .contains("1.csv:3: no file of users tells the login_id of 99")
    );
}

#[test]
fn empty_lines_a_header_alone_is_an_error() {
    let said = refused(&[("1.csv", "user_id,section_id,role,status\n\n")]);
    assert!(
        said.contains("1.csv: it has a header and no rows"),
        "{said}"
    );
}
