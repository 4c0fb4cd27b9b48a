//! The traps of `OneRoster`.

use super::*;

const USERS: &str = "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,email\n\
    u1,,,true,ada,,Ada,Lovelace,ada@school.example\n\
    u2,,,false,bob,,Bob,,\n";
const CLASSES: &str = "sourcedId,status,dateLastModified,title,schoolSourcedId\n\
    c1,,,Biology,s1\n\
    u1,,,Chemistry,s1\n";
const ROLES: &str = "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId\n\
    r1,,,u1,primary,teacher,,,s1\n\
    r2,,,u1,secondary,parent,,,s1\n\
    r3,,,u2,primary,student,,,s1\n";
const ENROLLMENTS: &str = "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate\n\
    e1,,,c1,s1,u1,teacher,true,,\n\
    e2,,,c1,s1,u2,student,false,2024-08-24,\n";

/// Returns a manifest of this version and these modes of users, classes, roles and enrollments.
fn manifest(version: &str, modes: [&str; 4]) -> String {
    let [users, classes, roles, enrollments] = modes;
    format!(
        "propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\nfile.orgs,absent\n\
        file.users,{users}\nfile.classes,{classes}\nfile.roles,{roles}\nfile.enrollments,{enrollments}\n"
    )
}

fn bulk() -> String {
    manifest("1.2", ["bulk"; 4])
}

/// Returns a bulk set of 1.2 with these enrollments after the header.
fn with_enrollments(rows: &str) -> Roster {
    let header = ENROLLMENTS.lines().next().unwrap();
    let enrollments = format!("{header}\n{rows}");
    read_files(&set(&bulk(), USERS, &enrollments)).unwrap()
}

fn set<'t>(manifest: &'t str, users: &'t str, enrollments: &'t str) -> [(&'t str, &'t str); 5] {
    [
        ("manifest.csv", manifest),
        ("users.csv", users),
        ("classes.csv", CLASSES),
        ("roles.csv", ROLES),
        ("enrollments.csv", enrollments),
    ]
}

/// Returns a delta whose enrollments alone are there.
fn delta(enrollments: &str) -> Result<Roster, Refused> {
    let manifest = manifest("1.2", ["absent", "absent", "absent", "delta"]);
    read_files(&[
        ("manifest.csv", &manifest),
        ("enrollments.csv", enrollments),
    ])
}

#[test]
fn a_set_of_1_2_becomes_rows() {
    let roster = read_files(&set(&bulk(), USERS, ENROLLMENTS)).unwrap();
    assert_eq!(roster.format, "OneRoster 1.2, bulk");
    assert_eq!(told(&roster), ["c1 u1 owner", "c1 u2 student"]);
    let ada = &roster.people[0];
    assert_eq!(
        (&*ada.display_name, &*ada.email),
        ("Ada Lovelace", "ada@school.example")
    );
    assert_eq!(&*ada.external_id, "u1");
    assert_eq!(&*roster.classes[0].title, "Biology");
    assert_eq!(roster.rows[1].at.line, 3);
    assert_eq!(notes(&roster), "");
}

#[test]
fn version_1_1_has_the_role_in_users_csv_and_no_roles_csv() {
    let manifest = manifest("1.1", ["bulk", "bulk", "absent", "bulk"]);
    let users = "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName\n\
        u1,,,true,\"s1,s2\",teacher,ada,,Ada,Lovelace\nu2,,,true,s1,student,bob,,Bob,B\n";
    let files = [
        ("manifest.csv", &*manifest),
        ("users.csv", users),
        ("classes.csv", CLASSES),
        ("enrollments.csv", ENROLLMENTS),
    ];
    let roster = read_files(&files).unwrap();
    assert_eq!(roster.format, "OneRoster 1.1, bulk");
    assert_eq!(told(&roster), ["c1 u1 owner", "c1 u2 student"]);
    assert_eq!(notes(&roster), "");
}

#[test]
fn version_another_one_is_refused() {
    for version in ["1.0", "2.0", ""] {
        let manifest = manifest(version, ["bulk"; 4]);
        let said = refused(&set(&manifest, USERS, ENROLLMENTS));
        assert!(
            said.contains("is not read; export OneRoster 1.1 or 1.2"),
            "{said}"
        );
    }
    let said = refused(&[("manifest.csv", "propertyName,value\nmanifest.version,1.0\n")]);
    assert!(said.contains("oneroster.version is missing"), "{said}");
}

#[test]
fn manifest_what_is_listed_and_what_is_there_must_agree() {
    let absent = manifest("1.2", ["absent", "bulk", "bulk", "bulk"]);
    let said = refused(&set(&absent, USERS, ENROLLMENTS));
    assert!(
        said.contains("manifest.csv:5: users.csv is listed as absent, and is there"),
        "{said}"
    );
    let listed = bulk();
    let said = refused(&[("manifest.csv", &listed), ("enrollments.csv", ENROLLMENTS)]);
    assert!(
        said.contains("users.csv is listed, and is not there"),
        "{said}"
    );
    // All at once.
    assert!(
        said.contains("roles.csv is listed, and is not there"),
        "{said}"
    );
    let unlisted = "propertyName,value\noneroster.version,1.2\nfile.enrollments,weekly\n";
    let said = refused(&set(unlisted, USERS, ENROLLMENTS));
    assert!(
        said.contains("enrollments.csv is listed as weekly"),
        "{said}"
    );
    assert!(
        said.contains("users.csv is there, and the manifest does not list it"),
        "{said}"
    );
}

#[test]
fn manifest_modes_may_differ_by_file() {
    let mixed = manifest("1.2", ["delta", "bulk", "absent", "bulk"]);
    let files = [
        ("manifest.csv", &*mixed),
        ("users.csv", "sourcedId,givenName,familyName\n"),
        ("classes.csv", CLASSES),
        ("enrollments.csv", ENROLLMENTS),
    ];
    // The users may be known from before, as their file has only changes.
    let roster = read_files(&files).unwrap();
    assert!(roster.complete);
    assert_eq!(told(&roster), ["c1 u1 owner", "c1 u2 student"]);
}

#[test]
fn role_a_user_without_a_row_in_roles_csv_and_several_rows_are_normal() {
    let roles = ROLES.replace("r3,,,u2,primary,student,,,s1\n", "");
    let mut files = set("", USERS, ENROLLMENTS);
    let manifest = bulk();
    files[0].1 = &manifest;
    files[3].1 = &roles;
    let roster = read_files(&files).unwrap();
    assert_eq!((roster.rows.len(), &*notes(&roster)), (2, ""));
}

#[test]
fn role_users_csv_of_1_1_in_a_set_that_calls_itself_1_2_is_noted() {
    let manifest = manifest("1.2", ["bulk", "bulk", "absent", "bulk"]);
    let users = "sourcedId,role,givenName,familyName\nu1,teacher,Ada,L\nu2,student,Bob,B\n";
    let files = [
        ("manifest.csv", &*manifest),
        ("users.csv", users),
        ("classes.csv", CLASSES),
        ("enrollments.csv", ENROLLMENTS),
    ];
    let roster = read_files(&files).unwrap();
    assert!(
        notes(&roster).contains("a column role, as in OneRoster 1.1"),
        "{}",
        notes(&roster)
    );
    assert_eq!(roster.rows.len(), 2);
}

#[test]
fn header_names_of_the_rest_binding_and_of_others_are_unknown_columns() {
    let users = "sourcedId,enabledUser,status,userId,givenName,familyName,preferredFirstName,preferredGivenName,ext_x,metadata.y\n\
        u1,true,,,Augusta,Lovelace,Rest,Ada,x,y\nu2,true,,,Bob,B,,,,\n";
    let roster = read_files(&set(&bulk(), users, ENROLLMENTS)).unwrap();
    let notes = notes(&roster);
    assert!(
        notes.contains("not read: userId, preferredFirstName, ext_x"),
        "{notes}"
    );
    assert!(
        notes.contains("users.csv: the columns are in another order"),
        "{notes}"
    );
    assert_eq!(&*roster.people[0].display_name, "Ada Lovelace");
}

#[test]
fn header_errors_of_all_files_are_told_at_once() {
    let said = refused(&set(
        &bulk(),
        "sourcedId,givenname\nu1,a\n",
        "classSourcedId\nc1\n",
    ));
    assert!(
        said.contains("users.csv: the header lacks givenName (it has givenname"),
        "{said}"
    );
    assert!(
        said.contains("enrollments.csv: the header lacks userSourcedId, role"),
        "{said}"
    );
}

#[test]
fn roles_students_and_teachers_are_members_and_the_others_are_counted() {
    let roster = with_enrollments(
        "1,,,c1,s1,u1,teacher,false,,\n2,,,c1,s1,u2,administrator,false,,\n3,,,u1,s1,u2,proctor,,,\n",
    );
    assert_eq!(told(&roster), ["c1 u1 teacher", "c1 u2 keep", "u1 u2 keep"]);
    assert_eq!(roster.findings.left(Left::OtherRole), 2);
}

#[test]
fn enums_unknown_ones_are_told_by_line_and_the_row_is_left_out() {
    let roster = with_enrollments("1,,,c1,s1,u1,professor,,,\n2,,,c1,s1,u2,ext:coach,,,\n");
    assert_eq!(told(&roster), ["c1 u1 keep", "c1 u2 keep"]);
    let said = said(&roster, Left::UnknownRole);
    assert!(
        said[0].starts_with("enrollments.csv:2: the role professor is not known"),
        "{said:?}"
    );
    assert_eq!(said.len(), 2);
}

#[test]
fn enums_the_caller_may_say_what_a_role_means() {
    let roles = [
        ("ext:coach".to_owned(), Some(Role::Assistant)),
        ("professor".to_owned(), None),
    ];
    let reading = Reading {
        roles: roles.into_iter().collect(),
        ..Reading::default()
    };
    let enrollments =
        format!("{ENROLLMENTS}3,,,u1,s1,u1,ext:coach,,,\n4,,,u1,s1,u2,professor,,,\n");
    let roster = read_as(&set(&bulk(), USERS, &enrollments), &reading).unwrap();
    assert_eq!(told(&roster)[2..], ["u1 u1 assistant", "u1 u2 keep"]);
    assert_eq!(roster.findings.left(Left::UnknownRole), 0);
}

#[test]
fn bulk_status_and_dates_of_records_are_not_read() {
    let roster = with_enrollments(
        "1,tobedeleted,2024-08-24,c1,s1,u1,student,,,\n2,active,8/24/2021,c1,s1,u2,student,,,\n",
    );
    assert_eq!(told(&roster), ["c1 u1 student", "c1 u2 student"]);
}

#[test]
fn delta_what_is_to_be_deleted_is_removed_and_another_status_is_left_out() {
    let rows = "1,active,2024-08-24T00:00:00Z,c1,s1,u1,student,,,\n2,tobedeleted,2024-08-24,c1,s1,u2,student,,,\n3,,,c1,s1,u3,student,,,\n";
    let header = ENROLLMENTS.lines().next().unwrap();
    let roster = delta(&format!("{header}\n{rows}")).unwrap();
    assert_eq!(told(&roster), ["c1 u1 student", "c1 u2 remove"]);
    assert!(!roster.complete);
    assert!(said(&roster, Left::Unreadable)[0].contains("enrollments.csv:4: the status is \"\""));
    let said = delta("classSourcedId,userSourcedId,role\nc1,u1,student\n")
        .err()
        .unwrap();
    assert!(
        said.to_string().contains("the header lacks status"),
        "{said}"
    );
}

#[test]
fn status_and_enabled_user_of_a_person_remove_nobody() {
    let manifest = manifest("1.2", ["delta", "absent", "absent", "delta"]);
    let users = "sourcedId,status,enabledUser,givenName,familyName\nu1,tobedeleted,false,Ada,L\n";
    let enrollments = "status,classSourcedId,userSourcedId,role\nactive,c1,u1,student\n";
    let files = [
        ("manifest.csv", &*manifest),
        ("users.csv", users),
        ("enrollments.csv", enrollments),
    ];
    assert_eq!(told(&read_files(&files).unwrap()), ["c1 u1 student"]);
}

#[test]
fn empty_lines_a_header_alone_is_an_error_in_bulk_and_none_in_delta() {
    let header = format!("{}\n,,,,,,,,,\n\n", ENROLLMENTS.lines().next().unwrap());
    let said = refused(&set(&bulk(), USERS, &header));
    assert!(
        said.contains("enrollments.csv: it has no rows, though the manifest says bulk"),
        "{said}"
    );
    let users = "sourcedId,givenName,familyName\n";
    assert!(refused(&set(&bulk(), users, ENROLLMENTS)).contains("users.csv: it has no rows"));
    assert!(delta(&header).unwrap().rows.is_empty());
}

#[test]
fn booleans_in_capitals_are_read_and_noted_once() {
    let roster = with_enrollments(
        "1,,,c1,s1,u1,teacher,TRUE,,\n2,,,c1,s1,u2,student,FALSE,,\n3,,,u1,s1,u2,student,yes,,\n",
    );
    let expected = ["c1 u1 owner", "c1 u2 student", "u1 u2 student"];
    assert_eq!(told(&roster), expected);
    assert_eq!(
        notes(&roster),
        "enrollments.csv:2: primary is TRUE, and is read as true"
    );
    let roster = with_enrollments("1,,,c1,s1,u1,teacher,yes,,\n");
    assert_eq!(told(&roster), ["c1 u1 teacher"]);
    assert!(notes(&roster).contains(":2: primary is yes, and is read as false"));
}

#[test]
fn dates_whose_order_cannot_be_known_are_noted_once_and_not_used() {
    let roster = with_enrollments(
        "1,,,c1,s1,u1,student,,2025-07-01,\n2,,,c1,s1,u2,student,,,8/24/2021\n3,,,u1,s1,u2,student,,,7/4/2021\n",
    );
    let expected = ["c1 u1 student", "c1 u2 student", "u1 u2 student"];
    assert_eq!(told(&roster), expected);
    assert_eq!(
        notes(&roster),
        "enrollments.csv:3: 8/24/2021 is no date of ISO 8601; it is not used"
    );
}

#[test]
fn one_valued_columns_with_several_values_are_refused() {
    let roster = with_enrollments(
        "1,,,\"c1,u1\",s1,u1,student,,,\n2,,,c1,s1,\"[\"\"u1\"\"]\",student,,,\n3,,,c1,\"s1,s2\",u2,student,,,\n",
    );
    assert_eq!(told(&roster), ["c1 u2 student"]);
    let said = said(&roster, Left::Unreadable);
    assert!(
        said[0].contains("classSourcedId holds several ids"),
        "{said:?}"
    );
    assert!(
        said[1].contains("userSourcedId holds a JSON list"),
        "{said:?}"
    );
}

#[test]
fn several_values_and_lists_that_belong_together_in_other_columns_are_not_read() {
    let manifest = bulk();
    let classes =
        "sourcedId,title,grades,subjects,subjectCodes\nc1,Biology,\"[\"\"10\"\"]\",\"a,b\",1\n";
    let mut files = set(&manifest, USERS, ENROLLMENTS);
    files[2].1 = classes;
    assert_eq!(read_files(&files).unwrap().rows.len(), 2);
}

#[test]
fn leading_zeros_and_case_make_another_id() {
    let users = "sourcedId,givenName,familyName\n01103,Ada,L\n1103,Bob,B\nA-1,Cy,C\na-1,Di,D\n";
    let rows = "1,,,c1,s1,01103,student,,,\n2,,,c1,s1,1103,student,,,\n3,,,c1,s1,A-1,student,,,\n4,,,c1,s1,a-1,student,,,\n";
    let enrollments = format!("{}\n{rows}", ENROLLMENTS.lines().next().unwrap());
    let roster = read_files(&set(&bulk(), users, &enrollments)).unwrap();
    let expected = [
        "c1 01103 student",
        "c1 1103 student",
        "c1 A-1 student",
        "c1 a-1 student",
    ];
    assert_eq!(told(&roster), expected);
}

#[test]
fn spaces_around_an_id_are_no_part_of_it() {
    let roster = with_enrollments("1,,, c1 ,s1, u1,student ,,,\n");
    assert_eq!(told(&roster), ["c1 u1 student"]);
}

#[test]
fn ids_what_homeroom_cannot_store_is_refused_by_line() {
    let longest = "x".repeat(255);
    let users = format!(
        "sourcedId,givenName,familyName\n{longest}x,A,B\nZoë,C,D\n{longest},E,F\nu1,G,H\nu2,I,J\n"
    );
    let roster = read_files(&set(&bulk(), &users, ENROLLMENTS)).unwrap();
    let said = said(&roster, Left::Unreadable);
    assert!(
        said[0].contains("users.csv:2: sourcedId: the external id is longer than 255"),
        "{said:?}"
    );
    assert!(
        said[1].contains("users.csv:3: sourcedId: a user id is"),
        "{said:?}"
    );
    assert_eq!(roster.people.len(), 3);
}

#[test]
fn ids_a_slash_and_a_space_are_written_as_codes_and_a_name_space_precedes() {
    let users = "sourcedId,username,givenName,familyName\nu1,school/ada l,Ada,L\nu2,100%20,Bob,B\n";
    let reading = Reading {
        user_column: Some("username".to_owned()),
        namespace: Some(homeroom_kit::auth::Namespace::parse("lms").unwrap()),
        ..Reading::default()
    };
    let roster = read_as(&set(&bulk(), users, ENROLLMENTS), &reading).unwrap();
    assert_eq!(
        told(&roster),
        ["c1 lms:school%2Fada%20l owner", "c1 lms:100%2520 student"]
    );
    assert_eq!(&*roster.people[0].external_id, "u1");
}

#[test]
fn unique_in_each_file_alone_so_a_user_and_a_class_may_share_an_id() {
    let roster = with_enrollments("1,,,u1,s1,u1,student,,,\n");
    assert_eq!(told(&roster), ["u1 u1 student"]);
    let twice = format!("{USERS}u1,,,true,other,,Other,,\n");
    let roster = read_files(&set(&bulk(), &twice, ENROLLMENTS)).unwrap();
    assert!(
        said(&roster, Left::Unreadable)[0].contains("users.csv:4: sourcedId: u1 is there already")
    );
    assert_eq!(&*roster.people[0].display_name, "Ada Lovelace");
}

#[test]
fn unique_two_people_of_one_user_id_are_told() {
    let users = "sourcedId,username,givenName,familyName\nu1,ada,Ada,L\nu2,ada,Bob,B\n";
    let reading = Reading {
        user_column: Some("username".to_owned()),
        ..Reading::default()
    };
    let roster = read_as(&set(&bulk(), users, ENROLLMENTS), &reading).unwrap();
    let said = said(&roster, Left::Unreadable);
    assert!(
        said[0].contains("users.csv:3: sourcedId: the user id ada is there already"),
        "{said:?}"
    );
    assert_eq!(told(&roster), ["c1 ada owner"]);
}

#[test]
fn references_orphans_are_collected_in_bulk_and_known_from_before_in_a_delta() {
    let roster = with_enrollments(
        "1,,,c9,s1,u1,student,,,\n2,,,c1,s1,u9,student,,,\n3,,,c1,s1,u2,student,,,\n",
    );
    assert_eq!(told(&roster), ["c1 u2 student"]);
    let said = said(&roster, Left::Orphan);
    assert!(
        said[0].contains("enrollments.csv:2: classes.csv has no c9"),
        "{said:?}"
    );
    assert!(
        said[1].contains("enrollments.csv:3: users.csv has no u9"),
        "{said:?}"
    );
    let roster = delta("status,classSourcedId,userSourcedId,role\nactive,c9,u9,student\n").unwrap();
    assert_eq!(told(&roster), ["c9 u9 student"]);
    assert_eq!(&*roster.people[0].external_id, "u9");
}

#[test]
fn several_rows_for_one_person_and_class_are_one_with_the_stronger_role() {
    let roster = with_enrollments(
        "1,,,c1,s1,u1,student,,,\n2,,,c1,s1,u1,teacher,,,\n3,,,c1,s1,u2,student,,,\n4,,,c1,s1,u2,student,,,\n",
    );
    assert_eq!(told(&roster), ["c1 u1 teacher", "c1 u2 student"]);
    assert_eq!(roster.findings.left(Left::Duplicate), 2);
}

#[test]
fn passwords_are_neither_kept_nor_told() {
    let users = "sourcedId,givenName,familyName,password\nu1,Ada,L,hunter2\nu2,Bob,B\nu2,Bob,B,hunter2\nu2,Bob,B,hunter2\n";
    let roster = read_files(&set(&bulk(), users, ENROLLMENTS)).unwrap();
    assert!(!format!("{roster:?}").contains("hunter2"));
    assert_eq!(said(&roster, Left::Unreadable).len(), 2);
}

#[test]
fn what_was_exported_has_homerooms_own_ids_and_names() {
    let users = "sourcedId,givenName,familyName,metadata.homeroom.externalId,metadata.homeroom.displayName\n\
        u1,Ada,Lovelace,s-1815,\"Ada  \"\nu2,Bob,,,'=Bob\n";
    let classes = "sourcedId,title,metadata.homeroom.externalId\nc1,Biology,BIO\nu1,Chemistry,\n";
    let manifest = bulk();
    let mut files = set(&manifest, users, ENROLLMENTS);
    files[2].1 = classes;
    let roster = read_files(&files).unwrap();
    let people: Vec<_> = roster
        .people
        .iter()
        .map(|one| (&*one.external_id, &*one.display_name))
        .collect();
    assert_eq!(people, [("s-1815", "Ada  "), ("", "=Bob")]);
    let classes: Vec<_> = roster
        .classes
        .iter()
        .map(|one| (one.id.as_deref(), &*one.external_id))
        .collect();
    assert_eq!(classes, [(Some("c1"), "BIO"), (Some("u1"), "u1")]);
    // Its user ids have their codes already.
    let users = users.replace("u2,", "\"a%2F,b\",");
    let enrollments = ENROLLMENTS.replace(",u2,", ",\"a%2F,b\",");
    files[1].1 = &users;
    files[4].1 = &enrollments;
    assert_eq!(told(&read_files(&files).unwrap())[1], "BIO a%2F,b student");
}
