"""Makes a class large: clones, in both databases, the rows that a few people created through the API."""

from .servers import SQL

TABLES = {
    "membership": ["admissions", "organization_members", "class_members", "join_requests", "events"],
    "invitations": ["redemptions", "events"],
}
# The distance that keeps the positions of two clonings in the feed apart.
FEED_PLACES = 10**9


def _array(words):
    return "{" + ",".join(words) + "}"


def _redeem(homeroom, code):
    """Redeems a code for a new person; returns the person's id."""
    user = f"user-{homeroom.world.new_run():016x}"
    homeroom.call("invitations", "RedemptionService/Redeem", {"credential": code}, user)
    return user


def _clone(homeroom, user, copies):
    if copies < 1:
        return
    psql, databases = homeroom.world.postgres.psql, homeroom.databases
    found = psql(databases["membership"], f"select redemption_id, request_id from admissions where user_id = '{user}'")
    ids = _array([user, *filter(None, found[0])])
    for service, tables in TABLES.items():
        variables = {"ids": ids, "tables": _array(tables), "copies": copies}
        variables["base"] = FEED_PLACES * int(homeroom.world.new_name()[1:])
        psql(databases[service], variables=variables, file=SQL / "clone.sql")


def grow(homeroom, organization, code, members, waiting=0):
    """Adds this many members to the organization's class, and this many people who wait for approval.

    Members come first: the code is locked so that the others wait.
    """
    homeroom_class = f"organizations/{organization}/classes/biology"
    joined = waits = None
    if members:
        joined = _redeem(homeroom, code)
    if waiting:
        name = {"name": f"{homeroom_class}/classCode"}
        homeroom.call("invitations", "ClassCodeService/LockClassCode", name, f"admin-{organization}")
        waits = _redeem(homeroom, code)
    # The counts wait until everything is settled.
    homeroom.counts()
    for user, number in ((joined, members), (waits, waiting)):
        if user is not None:
            _clone(homeroom, user, number - 1)
    more = f"{max(0, members - 1)}, {max(0, waiting - 1)}"
    psql, databases = homeroom.world.postgres.psql, homeroom.databases
    psql(
        databases["membership"],
        f"""
        update organization_seats set seats_used = seats_used + joined, requests_waiting = requests_waiting + waits
        from (values ({more})) as more (joined, waits) where organization_id = '{organization}'
        """,
    )
    # Only if the invitation counts uses.
    psql(
        databases["invitations"],
        f"""
        update invitations set
          uses_committed = uses_committed + case when uses_committed > 0 then joined else 0 end,
          uses_queued = uses_queued + case when uses_queued > 0 then waits else 0 end
        from (values ({more})) as more (joined, waits)
        where organization_id = '{organization}' and class_id = 'biology' and kind = 'class_code'
        """,
    )
