//! Tests of how the classes of files are found.

use super::*;
use crate::roster::{
    At,
    Role::{Assistant, Owner, Student, Teacher},
    Row,
};

fn known(id: &str, external_id: &str) -> Class {
    Class {
        name: format!("organizations/hamilton/classes/{id}"),
        external_id: external_id.to_owned(),
        ..Class::default()
    }
}

fn of_files(id: Option<&str>, external_id: &str) -> roster::Class {
    roster::Class {
        id: id.map(Into::into),
        external_id: external_id.into(),
        title: Box::default(),
    }
}

#[test]
fn a_class_is_found_by_its_id_or_else_by_its_external_id() {
    let known = [
        known("biology", "B 1"),
        known("chemistry", ""),
        known("art", "x"),
        known("music", "x"),
    ];
    let files = [
        of_files(None, "B 1"),
        // Only what may name a class's id does.
        of_files(None, "chemistry"),
        of_files(Some("chemistry"), "chemistry"),
        of_files(Some("elsewhere"), "B 1"),
        of_files(None, "x"),
        // Ids are compared byte for byte.
        of_files(None, "b 1"),
        of_files(Some(""), ""),
    ];
    let name = |class: &Class| Place::Known(class.name.clone());
    let expected = [
        name(&known[0]),
        Place::Missing,
        name(&known[1]),
        name(&known[0]),
        Place::Several,
        Place::Missing,
        Place::Missing,
    ];
    assert_eq!(resolve(&files, &known), expected);
}

#[test]
fn classes_of_the_files_that_are_one_class_are_united() {
    let united = |classes: &[roster::Class], mut places: Vec<Place>| {
        let mut roster = Roster::new("CSV", true);
        roster.classes = classes.to_vec();
        for class in 0..u32::try_from(roster.classes.len()).unwrap() {
            let at = At {
                file: 0,
                line: class + 2,
            };
            let what = What::Enroll(Student);
            roster.rows.push(Row {
                at,
                class: Some(class),
                person: class,
                what,
            });
        }
        unite(&mut roster, &mut places);
        let rows = roster.rows.iter().map(|row| row.class.unwrap_or_default());
        (
            rows.collect::<Vec<_>>(),
            places,
            roster.findings.notes.len(),
        )
    };
    // A class that one row names by its id, and another by its external id,
    let biology = Place::Known("biology".to_owned());
    let classes = [
        of_files(Some("biology"), "biology"),
        of_files(Some("BIO 1"), "BIO 1"),
    ];
    let known = vec![biology.clone(), biology.clone()];
    assert_eq!(united(&classes, known.clone()), (vec![0, 0], known, 1));
    // and a course and a section of one id that are still to be created.
    let classes = [
        of_files(None, "X"),
        of_files(None, "Y"),
        of_files(None, "X"),
    ];
    let missing = vec![Place::Missing; 3];
    assert_eq!(
        united(&classes, missing.clone()),
        (vec![0, 1, 0], missing, 1)
    );
    // Two exported classes with one external id are two.
    let classes = [of_files(Some("a"), "X"), of_files(Some("b"), "X")];
    let several = vec![Place::Several; 2];
    assert_eq!(
        united(&classes, vec![Place::Missing; 2]),
        (vec![0, 1], several, 0)
    );
}

#[test]
fn who_is_in_two_classes_that_are_united_is_there_once_with_the_stronger_role() {
    let mut roster = Roster::new("CSV", true);
    roster.classes = vec![of_files(Some("c"), "c"), of_files(Some("X"), "X")];
    for (class, role) in [(0, Student), (1, Teacher)] {
        let at = At {
            file: 0,
            line: class + 2,
        };
        let what = What::Enroll(role);
        roster.rows.push(Row {
            at,
            class: Some(class),
            person: 0,
            what,
        });
    }
    unite(
        &mut roster,
        &mut [Place::Known("c".to_owned()), Place::Known("c".to_owned())],
    );
    let row = roster.row_of(Some(0), 0).map(|row| row.what);
    assert_eq!((roster.rows.len(), row), (1, Some(What::Enroll(Teacher))));
    assert_eq!(roster.findings.left(Left::Duplicate), 1);
}

#[test]
fn the_owner_of_a_new_class_is_its_primary_teacher_or_else_the_first_one() {
    let owner_of = |roles: &[Role]| {
        let mut roster = Roster::new("CSV", true);
        roster.classes.push(of_files(None, "c"));
        for (person, role) in (0..).zip(roles) {
            roster.rows.push(Row {
                at: At {
                    file: 0,
                    line: person + 2,
                },
                class: Some(0),
                person,
                what: What::Enroll(*role),
            });
        }
        enrolled(&roster)[0]
    };
    assert_eq!(owner_of(&[Student, Teacher, Owner, Owner]), (4, Some(2)));
    assert_eq!(owner_of(&[Assistant, Teacher, Teacher]), (3, Some(1)));
    assert_eq!(owner_of(&[Student, Assistant]), (2, None));
    assert_eq!(owner_of(&[]), (0, None));
}
