"""Ratios of list pages and approvals with many to few waiting people, at the first, the middle and the last page."""

from . import calls
from .growth import grow
from .homeroom import Homeroom

GOAL = ("<=", 1.3, 1.1)
# The first size is the base of the ratios. The planner may change its plan between the sizes.
WAITING = (100, 10_000, 100_000)
WAITING_QUICK = (100, 10_000)
PAGE_SIZE = 20
LISTS = {
    "join_requests": ("ListJoinRequests", "membership", 'state = "PENDING"'),
    "class_members": ("ListClassMembers", "membership", ""),
    "redemptions": ("ListRedemptions", "invitations", ""),
}


def _depths(size):
    """Returns the number of items before the first, the middle and the last page."""
    return {"first": 0, "middle": size // 2, "last": size - PAGE_SIZE}


def measure(world, binaries, say):
    quick = world.options.quick
    sizes = WAITING_QUICK if quick else WAITING
    pages, approvals = (50, 20) if quick else (300, 100)
    few, *many = sizes
    homeroom = Homeroom(world, "lists", binaries, 5)
    with homeroom.serving():
        codes = homeroom.seed(len(sizes), "org").read_text().split()
        for number, (size, code) in enumerate(zip(sizes, codes)):
            say(f"lists: a class of {size:,} where {size:,} wait")
            # The people who are approved below wait in addition.
            grow(homeroom, f"org-{number}", code, size, size + approvals + calls.WARM_UP)
        homeroom.settle()

        def call(number, name, service, **more):
            of_class = {"user": f"admin-org-{number}", "parent": f"organizations/org-{number}/classes/biology"}
            token = {"address": homeroom.address(service), "token_file": homeroom.staff_token}
            return {"name": name, **token, **of_class, **more}

        listed, approved = [], []
        for number, size in enumerate(sizes):
            for depth, skip in _depths(size).items():
                for kind, (title, service, filter) in LISTS.items():
                    page = {"call": "list", "list": kind, "filter": filter, "skip": skip, "size": PAGE_SIZE}
                    listed.append(call(number, f"{title}, {depth} page of {size:,}", service, **page))
                if size in many or depth == "first":
                    which = {"call": "approve", "filter": LISTS["join_requests"][2], "skip": skip}
                    approved.append(call(number, f"an approval, {depth} of {size:,}", "membership", **which))
        latencies = calls.make(world, listed, pages)
        # The people on the last page are the last of all; the walk counts from the front.
        latencies |= calls.make(world, approved, approvals)
        homeroom.counts()
        homeroom.wait_followed()
        homeroom.audit()
    return [line for size in many for line in _lines(few, size, latencies)], {"latencies_ms": latencies}


def _lines(few, many, latencies):
    group = f"lists of {many:,}, 1 client"
    ratio = lambda title, above, below: calls.ratio(group, f"{title} ÷ of {few:,}", latencies, above, below, GOAL)
    lines = []
    for title, _, _ in LISTS.values():
        names = lambda size: [f"{title}, {depth} page of {size:,}" for depth in _depths(size)]
        lines.append(calls.median(group, names(many)[0], latencies))
        lines += [ratio(above, above, below) for above, below in zip(names(many), names(few))]
    approvals = [f"an approval, {depth} of {many:,}" for depth in _depths(many)]
    lines.append(calls.median(group, approvals[0], latencies))
    return lines + [ratio(above, above, f"an approval, first of {few:,}") for above in approvals]
