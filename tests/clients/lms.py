"""Drives a learning platform of docs/examples as a browser would.

Usage: lms.py PUBLIC_URL with JOIN_LINK (the class code of Biology), JOIN_URL (of the same class) and ASSIGNED_LINK (of a
token of Chemistry that is assigned to ada@school.example) in the environment. Exits 1 at the first page that is wrong.
"""

import http.cookiejar
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

PUBLIC_URL = sys.argv[1]


class Browser:
    """Somebody's browser, with cookies of its own."""

    def __init__(self):
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)

    def open(self, url, **form):
        """Opens a page, or sends a form; the address that it leads to, and what is shown."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            answer = self.opener.open(url, data, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.geturl(), answer.read().decode()

    def press(self, url, shown):
        return self.open(url, request_id=re.search(r"request_id value=(\S+?)>", shown)[1])[1]


def check(what, actual, pattern):
    if not re.search(pattern, actual):
        sys.exit(f"FAILED {what}: no {pattern} in {actual!r}")
    print(f"ok {what}")


def main():
    link, assigned, join_url = (os.environ[name] for name in ("JOIN_LINK", "ASSIGNED_LINK", "JOIN_URL"))

    ada = Browser()
    at, shown = ada.open(link)
    check("a stranger is asked who they are", at, "/sign-in")
    at, shown = ada.open(at, person="ada")
    check("and comes back to the invitation", at, re.escape(link))
    check("which says where it leads", shown, "<button>Join Biology</button>")
    pressed = ada.press(at, shown)
    check("one press joins", pressed, "You are in[.]")
    check("the same press again is answered the same", ada.press(at, shown), "You are in[.]")
    _, again = ada.open(link)
    check("a later one changes nothing", ada.press(link, again), "You are in already[.]")
    _, shown = ada.open(assigned)
    check("a vouched address opens what is assigned to it", ada.press(assigned, shown), "You are in[.]")
    _, shown = ada.open(f"{PUBLIC_URL}/c/AAAAAAAAAAAA")
    check("what opens nothing says so", shown, "This does not work: CODE_NOT_USABLE")

    grace = Browser()
    at, _ = grace.open(join_url)
    _, shown = grace.open(at, person="grace")
    check("a join URL registers nobody", shown, "This does not work: SIGN_UP_NOT_GRANTED")
    _, shown = grace.open(link)
    check("a class code does", shown, "<button>Register and join Biology</button>")
    check("and the new person is in", grace.press(link, shown), "You are in[.]")

    alan = Browser()
    at, _ = alan.open(assigned)
    _, shown = alan.open(at, person="alan")
    check("nobody else opens what is assigned", shown, "This does not work: EMAIL_UNVERIFIED")
    _, shown = alan.open(f"{PUBLIC_URL}/elsewhere")
    check("and no other path is an invitation", shown, "There is nothing here")


if __name__ == "__main__":
    main()
