"""List pages and approvals where many wait ÷ where few do, at the first, the middle and the last page."""

from . import calls
from .growth import grow
from .homeroom import Homeroom

GROUP = "lists, 1 client"
GOAL = ("<=", 1.3, 1.1)
WAITING = (100, 100_000)
WAITING_QUICK = (100, 10_000)
PAGE_SIZE = 20
LISTS = {
    "join_requests": ("ListJoinRequests", "membership", 'state = "PENDING"'),
    "class_members": ("ListClassMembers", "membership", ""),
    "redemptions": ("ListRedemptions", "invitations", ""),
}


def _depths(size):
    """Returns how many items lie before the first, the middle and the last page."""
    return {"first": 0, "middle": size // 2, "last": size - PAGE_SIZE}


def measure(world, binaries, say):
    quick = world.options.quick
    sizes = WAITING_QUICK if quick else WAITING
    pages, approvals = (50, 20) if quick else (300, 100)
    few, many = sizes
    homeroom = Homeroom(world, "lists", binaries, 5)
    with homeroom.serving():
        codes = homeroom.seed(len(sizes), "org").read_text().split()
        for number, (size, code) in enumerate(zip(sizes, codes)):
            say(f"lists: a class of {size:,} where {size:,} wait")
            # Whoever is approved below is waiting besides.
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
                if size == many or depth == "first":
                    which = {"call": "approve", "filter": LISTS["join_requests"][2], "skip": skip}
                    approved.append(call(number, f"an approval, {depth} of {size:,}", "membership", **which))
        latencies = calls.make(world, listed, pages)
        # Those at the last page are the last of all, which the walk counts from the front.
        latencies |= calls.make(world, approved, approvals)
        homeroom.counts()
        homeroom.wait_followed()
        homeroom.audit()
    lines = []
    for title, _, _ in LISTS.values():
        lines += [calls.median(GROUP, f"{title}, first page of {many:,}", latencies)]
        for depth in _depths(many):
            names = [f"{title}, {depth} page of {size:,}" for size in sizes]
            lines.append(_ratio(f"{title}, {depth} page", names, latencies, sizes))
    lines += [calls.median(GROUP, f"an approval, first of {many:,}", latencies)]
    for depth in _depths(many):
        names = [f"an approval, first of {few:,}", f"an approval, {depth} of {many:,}"]
        lines.append(_ratio(f"an approval, {depth} page", names, latencies, sizes))
    return lines, {"latencies_ms": latencies}


def _ratio(title, names, latencies, sizes):
    few, many = sizes
    return calls.ratio(GROUP, f"{title}: {many:,} ÷ {few:,}", latencies, names[1], names[0], GOAL)
