"""A learning platform that serves PUBLIC_URL: it signs a person in, shows what an invitation leads to, and redeems it.

Stubs are generated from the contract, and the settings are four variables:

    pip install grpcio grpcio-tools googleapis-common-protos
    mkdir -p stubs
    python -m grpc_tools.protoc --proto_path proto --python_out stubs --grpc_python_out stubs proto/homeroom/*/v1/*.proto
    PUBLIC_URL=http://127.0.0.1:8080 INVITATIONS=127.0.0.1:50052 HOMEROOM_TOKEN=… PYTHONPATH=stubs python docs/examples/lms.py

The token's scopes are homeroom.act_as, homeroom.vouch and homeroom.forward_ip. Accounts, sessions and pages are
yours: here they are as short as they can be, and no form is guarded against other sites.
"""

import html
import http.cookies
import http.server
import os
import re
import urllib.parse
import uuid

import grpc
from google.rpc import error_details_pb2, status_pb2
from homeroom.common.v1.user_pb2 import User
from homeroom.invitations.v1 import redemption_service_pb2 as api
from homeroom.invitations.v1.redemption_service_pb2_grpc import RedemptionServiceStub

PUBLIC_URL = os.environ["PUBLIC_URL"]
# The paths of invitations.
INVITATION = re.compile("/[itcj]/")
TOKEN = os.environ["HOMEROOM_TOKEN"]
DEADLINE_SECONDS = 20

redemptions = RedemptionServiceStub(grpc.insecure_channel(os.environ["INVITATIONS"]))
# Who has an account. What it says of the address and of the school's id is vouched for.
accounts = {
    "ada": User(user="ada", display_name="Ada Lovelace", email="ada@school.example", email_verified=True, external_id="s-1815"),
}
OUTCOMES = {
    api.ADMITTED: "You are in.",
    api.PENDING_APPROVAL: "Your teacher has been asked.",
    api.ALREADY_MEMBER: "You are in already.",
}


def call(method, request, person):
    """Calls for the person; the answer, or the reason of a refusal and when to come back."""
    metadata = [("authorization", f"Bearer {TOKEN}"), ("x-homeroom-user", person.user)]
    try:
        return method(request, metadata=metadata, timeout=DEADLINE_SECONDS), None
    except grpc.RpcError as error:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        status = status_pb2.Status.FromString(dict(error.trailing_metadata()).get("grpc-status-details-bin", b""))
        for detail in status.details:
            detail.Unpack(info) or detail.Unpack(retry)
        seconds = retry.retry_delay.seconds
        return None, (info.reason or error.code().name) + (f", try again in {seconds} seconds" if seconds else "")


class Platform(http.server.BaseHTTPRequestHandler):
    def person(self):
        """Who is signed in, and whether they are about to register."""
        cookie = http.cookies.SimpleCookie(self.headers.get("cookie", "")).get("person")
        if cookie is None:
            return None, False
        name = urllib.parse.unquote(cookie.value)
        return accounts.get(name, User(user=name)), name not in accounts

    def do_GET(self):
        # Opening a link changes nothing: mail filters open it too.
        if self.path.startswith("/sign-in?"):
            return self.page("<form method=post>Who are you? <input name=person> <button>Sign in</button></form>")
        self.invitation(self.preview)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        if self.path.startswith("/sign-in?"):
            back = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["to"][0]
            # Anything else may lead to another site.
            if not INVITATION.match(back):
                return self.page("There is nothing here.", 404)
            return self.redirect(back, f"person={urllib.parse.quote(form['person'][0])}; HttpOnly; SameSite=Lax")
        self.invitation(lambda *known: self.redeem(*known, form["request_id"][0]))

    def invitation(self, then):
        if not INVITATION.match(self.path):
            return self.page("There is nothing here.", 404)
        person, is_new = self.person()
        if person is None:
            return self.redirect(f"/sign-in?to={urllib.parse.quote(self.path)}")
        # The whole URL is the credential; Homeroom finds out which way in it is.
        then(PUBLIC_URL + self.path, person, is_new)

    def preview(self, url, person, is_new):
        request = api.PreviewRedemptionRequest(
            credential=url, user=person, sign_up=is_new, client_ip=self.client_address[0]
        )
        answer, refused = call(redemptions.PreviewRedemption, request, person)
        if refused:
            return self.page(f"This does not work: {refused}", 409)
        place = answer.class_display_name or answer.organization_display_name
        action = "Ask to join" if answer.requires_approval else "Register and join" if is_new else "Join"
        # One id for one intention, so that pressing twice is one redemption.
        self.page(
            f"<form method=post><input type=hidden name=request_id value={uuid.uuid4()}>"
            f"<button>{action} {html.escape(place)}</button></form>"
        )

    def redeem(self, url, person, is_new, request_id):
        request = api.RedeemRequest(
            credential=url, user=person, sign_up=is_new, client_ip=self.client_address[0], request_id=request_id
        )
        answer, refused = call(redemptions.Redeem, request, person)
        if refused:
            return self.page(f"This does not work: {refused}", 409)
        accounts.setdefault(person.user, person)
        self.page(OUTCOMES[answer.outcome])

    def page(self, body, status=200):
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("referrer-policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body.encode())

    def redirect(self, to, cookie=None):
        self.send_response(303)
        self.send_header("location", to)
        if cookie:
            self.send_header("set-cookie", cookie)
        self.end_headers()

    def log_message(self, *_):
        """Paths are credentials, and no line of a log may hold one."""


if __name__ == "__main__":
    port = urllib.parse.urlsplit(PUBLIC_URL).port or 80
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Platform).serve_forever()
