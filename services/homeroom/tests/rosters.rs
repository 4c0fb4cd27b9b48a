//! `homeroom import` and `homeroom export`, run as the installed binary against `homeroom serve`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

mod served;

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use served::{Served, TEACHER, folder, homeroom, printed, succeeds, text};

/// The exit status if rows were left out.
const LEFT_OUT: Option<i32> = Some(3);
const HEADER: &str = "user,class,role,name,email,external_id\n";

impl Served {
    /// Returns the output of a command with these arguments, by the administrator `teacher`.
    fn by_teacher(&self, command: &str, arguments: &[&str]) -> Output {
        let token = self.token(&TEACHER);
        let mut run = homeroom(&[command, "--token", &token, "--membership", &self.membership]);
        run.args(arguments).output().unwrap()
    }

    /// Returns the JSON report of an import, and its exit status.
    fn import(&self, path: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
        let arguments = [&["hamilton", text(path), "--json"], arguments].concat();
        let output = self.by_teacher("import", &arguments);
        let report = serde_json::from_slice(&output.stdout);
        (
            report.unwrap_or_else(|_| panic!("{}", printed(&output))),
            output.status.code(),
        )
    }

    /// Returns each member of a class, as `user ROLE`.
    fn members(&self, class: &str) -> Vec<String> {
        let parent =
            json!({"parent": format!("organizations/hamilton/classes/{class}"), "pageSize": 1_000});
        let answer = self
            .ask("MemberService/ListClassMembers", &parent, &TEACHER)
            .unwrap();
        let text = |member: &Value, field: &str| member[field].as_str().unwrap().to_owned();
        let members = answer["members"].as_array().unwrap().iter();
        members
            .map(|one| format!("{} {}", text(one, "user"), text(one, "role")))
            .collect()
    }

    fn classes(&self) -> Vec<Value> {
        let parent = json!({"parent": "organizations/hamilton"});
        let answer = self
            .ask("ClassService/ListClasses", &parent, &TEACHER)
            .unwrap();
        answer["classes"].as_array().unwrap().clone()
    }
}

/// Returns the counts of a report that are not 0, as `name: count`.
fn counts(report: &Value) -> Vec<String> {
    let counts = report["counts"].as_object().unwrap().iter();
    counts
        .filter(|(_, count)| **count != 0)
        .map(|(name, count)| format!("{name}: {count}"))
        .collect()
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn an_import_is_planned_and_then_carried_out_and_may_be_repeated() {
    // Given a class, and a roster of it with a row that cannot be read,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let roster = folder.path().join("roster.csv");
    let rows = "ada,biology,student,Ada Lovelace,ada@school.example,s-1\nbob,biology,ta,,,\nteacher,biology,teacher,,,\n\
        cy,biology\ndi,physics,student,,,\n";
    fs::write(&roster, format!("{HEADER}{rows}")).unwrap();

    // when it is planned, then each row is told and nothing is changed;
    assert!(succeeds(homeroom(&["import", "--help"])).contains("exit status is 0"));
    let (report, status) = served.import(&roster, &[]);
    let expected = ["added: 2", "noClass: 1", "unchanged: 1", "unreadable: 1"];
    assert_eq!(
        (counts(&report), status),
        (expected.map(String::from).to_vec(), LEFT_OUT)
    );
    assert_eq!(served.members("biology"), ["teacher OWNER"]);
    let lines: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert_eq!(lines, [json!(5), json!(6)]);

    // when it is committed, then the others are in;
    let (report, status) = served.import(&roster, &["--commit"]);
    assert_eq!(
        (counts(&report), status),
        (expected.map(String::from).to_vec(), LEFT_OUT)
    );
    let members = ["ada STUDENT", "bob CO_TEACHER", "teacher OWNER"];
    assert_eq!(served.members("biology"), members);
    let ada = json!({"name": "organizations/hamilton/members/ada"});
    let ada = served
        .ask("MemberService/GetOrganizationMember", &ada, &TEACHER)
        .unwrap();
    assert_eq!(
        (&ada["displayName"], &ada["externalId"]),
        (&json!("Ada Lovelace"), &json!("s-1"))
    );

    // and a second time nothing changes.
    let (report, _) = served.import(&roster, &["--commit"]);
    assert_eq!(
        counts(&report),
        ["noClass: 1", "unchanged: 3", "unreadable: 1"]
    );
    assert_eq!(served.members("biology"), members);
}

#[test]
fn seats_are_counted_over_all_batches_and_a_person_in_several_classes_takes_one() {
    // Given a school with 700 seats, and 800 students in two new classes each,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let platform = ["--user", "platform", "--scope", "homeroom.platform"];
    let limit = json!({"organization": {"name": "organizations/hamilton", "seatLimit": 700}});
    served
        .ask("OrganizationService/UpdateOrganization", &limit, &platform)
        .unwrap();
    let class = json!({
        "parent": "organizations/hamilton", "classId": "physics", "class": {"displayName": "Physics"}
    });
    served
        .ask("ClassService/CreateClass", &class, &TEACHER)
        .unwrap();
    let roster = folder.path().join("roster.csv");
    let rows = ["biology", "physics"].map(|class| {
        (0..800)
            .map(|number| format!("s{number:03},{class},,,,\n"))
            .collect::<Vec<_>>()
            .concat()
    });
    fs::write(&roster, format!("{HEADER}{}", rows.concat())).unwrap();

    // then the plan and the import tell the same: 100 students find no seat.
    let expected = ["added: 1400", "noSeats: 200"];
    let (report, status) = served.import(&roster, &[]);
    assert_eq!(
        (counts(&report), status),
        (expected.map(String::from).to_vec(), LEFT_OUT)
    );
    let (report, status) = served.import(&roster, &["--commit"]);
    assert_eq!(
        (counts(&report), status),
        (expected.map(String::from).to_vec(), LEFT_OUT)
    );
    assert_eq!(served.members("physics").len(), 701);
}

const MANIFEST: &str = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,bulk\n\
    file.classes,bulk\nfile.enrollments,bulk\n";

/// Writes a set of `OneRoster` with two classes.
fn write_oneroster(folder: &Path) {
    write(folder, "manifest.csv", MANIFEST);
    let users =
        "sourcedId,givenName,familyName\nt-1,Zoe,Park\nu-1,Ada,Lovelace\nu-2,Bob,Young\nu 3,Cy,\n";
    write(folder, "users.csv", users);
    write(
        folder,
        "classes.csv",
        "sourcedId,title\nBIO 1,Biology\nCHE 1,Chemistry\n",
    );
    let enrollments = "sourcedId,classSourcedId,userSourcedId,role,primary\n1,BIO 1,u-1,student,false\n\
        2,BIO 1,t-1,teacher,true\n3,BIO 1,u-2,student,false\n4,CHE 1,u 3,student,\n5,CHE 1,u-1,parent,\n";
    write(folder, "enrollments.csv", enrollments);
}

#[test]
fn missing_classes_are_created_with_their_primary_teacher_and_found_again() {
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let set = folder.path().join("set");
    write_oneroster(&set);

    // Without leave they are a problem; the plan tells what would be created.
    let (report, status) = served.import(&set, &["--commit"]);
    assert_eq!(
        (counts(&report), status),
        (
            vec!["noClass: 4".to_owned(), "otherRole: 1".to_owned()],
            LEFT_OUT
        )
    );
    let (report, status) = served.import(&set, &["--create-classes"]);
    assert_eq!((&report["classesCreated"], status), (&json!(2), Some(0)));
    assert_eq!(counts(&report), ["inNewClasses: 4", "otherRole: 1"]);
    assert_eq!(served.classes().len(), 1);

    // With leave each has its primary teacher as owner, or else the caller.
    let (report, status) = served.import(&set, &["--create-classes", "--commit"]);
    assert_eq!((&report["classesCreated"], status), (&json!(2), Some(0)));
    let mut classes = served.classes();
    let text = |class: &Value, field: &str| class[field].as_str().unwrap().to_owned();
    classes.sort_by_key(|class| ["displayName", "externalId"].map(|field| text(class, field)));
    let told: Vec<_> = classes
        .iter()
        .map(|class| [&class["displayName"], &class["externalId"], &class["owner"]])
        .collect();
    assert_eq!(told[0], [&json!("Biology"), &json!(""), &json!("teacher")]);
    assert_eq!(told[1], [&json!("Biology"), &json!("BIO 1"), &json!("t-1")]);
    assert_eq!(
        told[2],
        [&json!("Chemistry"), &json!("CHE 1"), &json!("teacher")]
    );
    let chemistry = classes[2]["name"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    assert_eq!(
        served.members(chemistry),
        ["teacher OWNER", "u%203 STUDENT"]
    );

    // They are found again by their external id.
    let (report, _) = served.import(&set, &["--create-classes", "--commit"]);
    assert_eq!(counts(&report), ["otherRole: 1", "unchanged: 4"]);
    assert_eq!(served.classes().len(), 3);
}

#[test]
fn a_class_whose_teacher_is_a_student_of_the_organization_is_created_with_them_as_owner() {
    // Given somebody who came to the school as a student, and is the teacher of a class in the files,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let member = json!({
        "parent": "organizations/hamilton", "member": {"user": "t-1", "role": "STUDENT"}
    });
    served
        .ask("MemberService/AddOrganizationMember", &member, &TEACHER)
        .unwrap();
    let set = folder.path().join("set");
    write_oneroster(&set);

    // then the class is theirs, and its rows are in.
    let (report, status) = served.import(&set, &["--create-classes", "--commit"]);
    assert_eq!((&report["classesCreated"], status), (&json!(2), Some(0)));
    let classes = served.classes();
    let biology = classes.iter().find(|class| class["externalId"] == "BIO 1");
    assert_eq!(biology.unwrap()["owner"], "t-1");
    let name = json!({"name": "organizations/hamilton/members/t-1"});
    let owner = served
        .ask("MemberService/GetOrganizationMember", &name, &TEACHER)
        .unwrap();
    assert_eq!(owner["role"], "TEACHER");

    // An administrator who teaches a class in the files stays one.
    let roster = folder.path().join("roster.csv");
    fs::write(&roster, format!("{HEADER}teacher,new,teacher,,,\n")).unwrap();
    let (report, status) = served.import(&roster, &["--create-classes", "--commit"]);
    assert_eq!((&report["classesCreated"], status), (&json!(1), Some(0)));
    let name = json!({"name": "organizations/hamilton/members/teacher"});
    let owner = served
        .ask("MemberService/GetOrganizationMember", &name, &TEACHER)
        .unwrap();
    assert_eq!(owner["role"], "ADMIN");
}

#[test]
fn a_class_that_is_named_by_its_id_and_its_external_id_is_one_class() {
    // Given a class with an external id, and a file that names it in both ways,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let class = json!({
        "class": {"name": "organizations/hamilton/classes/biology", "externalId": "BIO 1"}
    });
    served
        .ask("ClassService/UpdateClass", &class, &TEACHER)
        .unwrap();
    let roster = folder.path().join("roster.csv");
    let rows = "ada,biology,,,,\nbob,BIO 1,,,,\n";
    fs::write(&roster, format!("{HEADER}{rows}")).unwrap();

    // then nobody of one is absent from the other.
    for expected in ["added: 2", "unchanged: 2"] {
        let removals = [
            "--commit",
            "--remove-absent",
            "--removals-percent-max",
            "50",
        ];
        let (report, status) = served.import(&roster, &removals);
        assert_eq!(
            (counts(&report), status),
            (vec![expected.to_owned()], Some(0))
        );
        let note = report["notes"][0]["what"].as_str().unwrap();
        assert!(note.contains("one class: biology, BIO 1"), "{note}");
    }
    let members = ["ada STUDENT", "bob STUDENT", "teacher OWNER"];
    assert_eq!(served.members("biology"), members);
}

#[test]
fn who_is_absent_is_removed_only_when_told_and_never_more_than_the_share() {
    // Given a class of ten students, and a file with eight of them,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let roster = folder.path().join("roster.csv");
    let rows = |count: usize| {
        (0..count)
            .map(|number| format!("s{number},biology,,,,\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    fs::write(&roster, format!("{HEADER}{}", rows(10))).unwrap();
    served.import(&roster, &["--commit"]);
    fs::write(&roster, format!("{HEADER}{}", rows(8))).unwrap();

    // then nobody leaves by itself,
    served.import(&roster, &["--commit"]);
    assert_eq!(served.members("biology").len(), 11);
    // and no larger share than was allowed: 2 of 11 are more than 18 per cent.
    let remove = |percent: &str| {
        let arguments = [
            "hamilton",
            text(&roster),
            "--commit",
            "--remove-absent",
            "--removals-percent-max",
            percent,
        ];
        served.by_teacher("import", &arguments)
    };
    let refused = remove("18");
    assert_eq!(refused.status.code(), Some(1));
    let said = printed(&refused);
    assert!(
        said.contains("nothing was changed") && said.contains("2 of 11 members"),
        "{said}"
    );
    assert_eq!(served.members("biology").len(), 11);
    // Within the share they leave, and the owner stays, though the file does not have them.
    let done = remove("19");
    let said = printed(&done);
    assert!(
        done.status.success() && said.contains("removed     2"),
        "{said}"
    );
    assert_eq!(served.members("biology").len(), 9);
    assert!(
        served
            .members("biology")
            .contains(&"teacher OWNER".to_owned())
    );
    // A file with an unreadable row does not tell who has left.
    fs::write(&roster, format!("{HEADER}{}s5,biology\n", rows(5))).unwrap();
    let said = printed(&remove("100"));
    assert!(said.contains("1 rows cannot be read"), "{said}");
    assert_eq!(served.members("biology").len(), 9);
}

#[test]
fn a_report_names_who_is_removed_and_what_changes() {
    // Given a class, and a file with one student fewer and another role and name,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let roster = folder.path().join("roster.csv");
    let rows = "ada,biology,student,Ada,,\nbob,biology,student,Bob Young,,s-2\n";
    fs::write(&roster, format!("{HEADER}{rows}")).unwrap();
    served.import(&roster, &["--commit"]);
    let rows = "ada,biology,co-teacher,Ada Lovelace,,\ncy,,student,,,\n";
    fs::write(&roster, format!("{HEADER}{rows}")).unwrap();
    let removals = ["--remove-absent", "--removals-percent-max", "50"];

    // then the plan names both, as text
    let place = ["organizations/hamilton", text(&roster)];
    let planned = printed(&served.by_teacher("import", &[&place[..], &removals].concat()));
    for line in [
        "\nto be removed: bob (Bob Young), hamilton/biology role \"STUDENT\" to \"\"\n",
        "\nto be changed: ada (Ada), hamilton role \"STUDENT\" to \"TEACHER\", \
            hamilton display_name \"Ada\" to \"Ada Lovelace\", \
            hamilton/biology role \"STUDENT\" to \"CO_TEACHER\"\n",
    ] {
        assert!(planned.contains(line), "{planned}");
    }
    // and in its JSON, and so does the import.
    let (hamilton, biology) = (
        "organizations/hamilton",
        "organizations/hamilton/classes/biology",
    );
    for arguments in [&removals[..], &[&removals[..], &["--commit"]].concat()] {
        let (report, status) = served.import(&roster, arguments);
        assert_eq!(
            (counts(&report), status),
            (
                ["added: 1", "removed: 1", "updated: 1"]
                    .map(String::from)
                    .to_vec(),
                Some(0)
            )
        );
        let change = |parent: &str, field: &str, from: &str, to: &str| json!({"parent": parent, "field": field, "from": from, "to": to});
        let bob = json!({"user": "bob", "displayName": "Bob Young", "changes": [change(biology, "role", "STUDENT", "")]});
        assert_eq!(report["removed"], json!([bob]));
        let ada = json!({"user": "ada", "displayName": "Ada", "changes": [
            change(hamilton, "role", "STUDENT", "TEACHER"),
            change(hamilton, "display_name", "Ada", "Ada Lovelace"),
            change(biology, "role", "STUDENT", "CO_TEACHER"),
        ]});
        assert_eq!(report["updated"], json!([ada]));
    }
    let members = ["ada CO_TEACHER", "teacher OWNER"];
    assert_eq!(served.members("biology"), members);
}

#[test]
fn what_is_exported_is_imported_again_without_a_change() {
    // Given a school with names that a spreadsheet would run, and ids with codes,
    let (folder, data) = folder();
    let served = Served::start(&data);
    served.school();
    let set = folder.path().join("set");
    write_oneroster(&set);
    served.import(&set, &["--create-classes", "--commit"]);
    let roster = folder.path().join("roster.csv");
    fs::write(
        &roster,
        format!("{HEADER}a/b,biology,student,\"=1+1, @x\",,-7\n"),
    )
    .unwrap();
    served.import(&roster, &["--commit"]);

    // when it is exported as a folder and as a zip file, then both are read as what is there.
    for (name, place) in [("out", "hamilton"), ("out.zip", "organizations/hamilton")] {
        let out = folder.path().join(name);
        let export = [place, "--format", "oneroster", "--to", text(&out)];
        let exported = served.by_teacher("export", &export);
        assert!(exported.status.success(), "{}", printed(&exported));
        let (report, status) = served.import(&out, &["--commit"]);
        assert_eq!(
            (counts(&report), status),
            (vec!["unchanged: 7".to_owned()], Some(0))
        );
        let again = served.by_teacher("export", &export);
        assert!(printed(&again).contains("is there already"), "{again:?}");
    }

    // One class as LTI's names and roles.
    let out = folder.path().join("lti");
    for (place, to) in [
        ("hamilton/biology", &out),
        (
            "organizations/hamilton/classes/biology",
            &folder.path().join("same"),
        ),
    ] {
        let export = [place, "--format", "lti", "--to", text(to)];
        let exported = printed(&served.by_teacher("export", &export));
        assert!(exported.contains("1 files, 1 classes"), "{exported}");
    }
    let told = fs::read(out.join("biology.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let user = told["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["user_id"] == "a%2Fb")
        .unwrap()
        .clone();
    assert_eq!(
        (&user["name"], &user["lis_person_sourcedid"]),
        (&json!("=1+1, @x"), &json!("-7"))
    );
}
