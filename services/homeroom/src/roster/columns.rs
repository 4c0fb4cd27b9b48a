//! The headers of `OneRoster`'s files, in the standard's order.

/// The column of files that `homeroom export` wrote: the ids in them are Homeroom's own, and the external id is here.
pub(crate) const EXPORTED_EXTERNAL_ID: &str = "metadata.homeroom.externalId";
/// The column of a person's name as Homeroom stores it.
pub(crate) const EXPORTED_NAME: &str = "metadata.homeroom.displayName";

pub(crate) const CLASS_COLUMNS: &str = "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,\
    classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods";
/// The columns of users in 1.1, where the role of a user is among them.
pub(crate) const USER_COLUMNS_1_1: &str = "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,\
    userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password";
/// The columns of users in 1.2, where roles have a file of their own.
pub(crate) const USER_COLUMNS_1_2: &str = "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,\
    familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,\
    resourceSourcedIds,preferredGivenName,preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns";
pub(crate) const ROLE_COLUMNS: &str = "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,\
    orgSourcedId,userProfileSourcedId";
pub(crate) const ENROLLMENT_COLUMNS: &str = "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,\
    userSourcedId,role,primary,beginDate,endDate";
pub(crate) const ORG_COLUMNS: &str =
    "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId";
pub(crate) const SESSION_COLUMNS: &str =
    "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear";
pub(crate) const COURSE_COLUMNS: &str = "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,\
    orgSourcedId,subjects,subjectCodes";
