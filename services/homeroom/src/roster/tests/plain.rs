//! A plain CSV file.

use super::*;

#[test]
fn a_file_with_a_header_becomes_rows() {
    let text = "User,Class,Role,Name,Email,External_ID,Room\n\
        ada,biology,student,Zoe\u{308},ada@school.example,s-1,4\n\
        bob,BIO 2,Teacher,,,,\n\
        cy,,admin,,,,\n\
        di,biology,,,,,\n";
    let roster = read_files(&[("roster.csv", text)]).unwrap();
    assert_eq!(roster.format, "CSV");
    let expected = [
        "biology ada student",
        "BIO 2 bob teacher",
        "- cy administrator",
        "biology di student",
    ];
    assert_eq!(told(&roster), expected);
    assert_eq!(&*roster.people[0].display_name, "Zo\u{eb}");
    assert_eq!(roster.classes[0].id.as_deref(), Some("biology"));
    assert!(
        notes(&roster)
            .contains("columns that are not read: room; a CSV file needs the column user")
    );
}

#[test]
fn a_blank_role_states_none_for_the_organization_and_a_student_in_a_class() {
    let text = "user,class,role\nada,,\nbob,biology,\ncy,,\ncy,,student\n";
    let roster = read_files(&[("roster.csv", text)]).unwrap();
    let expected = ["- ada unstated", "biology bob student", "- cy student"];
    assert_eq!(told(&roster), expected);
}

#[test]
fn normal_form_ids_are_compared_as_they_are() {
    let text = "user,class\nada,Zo\u{eb}\nada,Zoe\u{308}\n";
    let roster = read_files(&[("roster.csv", text)]).unwrap();
    assert_eq!(roster.classes.len(), 2);
}

#[test]
fn a_row_without_a_user_or_with_a_role_that_its_place_lacks_is_left_out() {
    let text = "user,class,role\n,biology,student\nada,biology,admin\nbob,,ta\nme,biology,\n";
    let roster = read_files(&[("roster.csv", text)]).unwrap();
    assert_eq!(said(&roster, Left::Unreadable).len(), 2);
    assert_eq!(said(&roster, Left::UnknownRole).len(), 2);
}

#[test]
fn encoding_utf_16_is_refused() {
    let bytes: Vec<u8> = "user\nada\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let files = [b"\xFF\xFE".to_vec(), bytes].concat();
    let refused = read(
        &mut Memory(vec![("a.csv".to_owned(), files)]),
        &Reading::default(),
    );
    let said = refused.err().unwrap().to_string();
    assert_eq!(
        said,
        "a.csv:1: byte 1 of the line is not UTF-8; save the file as UTF-8 CSV"
    );
}

#[test]
fn empty_lines_a_header_alone_is_an_error() {
    let said = refused(&[("a.csv", "user,class\n")]);
    assert!(said.contains("a header and no rows"), "{said}");
}
