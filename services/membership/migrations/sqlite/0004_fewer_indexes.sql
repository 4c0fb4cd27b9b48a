-- class_members_by_user leads to the same rows for every statement that knows both the organization and the user.
DROP INDEX class_members_by_member;
