#!/usr/bin/env bash
# PyLTI1p3 2.0.0 asks for the second page of a roster under an address in
# lower case.
#
# Guessed: the address of the Link header (rel="next") is used as it came.
# Happens: the whole header is put in lower case before the address is taken
#   out of it. Page cursors are opaque and mostly base64, where case matters:
#   the platform is asked for a cursor that it never gave.
# Versions: PyLTI1p3 2.0.0 on CPython 3.
# Matters: a class whose roster comes by LTI (Names and Role Provisioning
#   Services) ends after the first page, or the import fails, as soon as the
#   class has more than one page. Tests with one page, or with ?page=2, pass.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check PyLTI1p3==2.0.0 >&2

recorded='given: /Members?cursor=MTA6bmV4dA==
asked: /Members?class=7
asked: /members?cursor=mta6bmv4da=='

cat >"$scratch/roster.py" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pylti1p3.names_roles import NamesRolesProvisioningService
from pylti1p3.registration import Registration
from pylti1p3.service_connector import ServiceConnector

NEXT = "/Members?cursor=MTA6bmV4dA=="
asked = []


class Platform(BaseHTTPRequestHandler):
    def answer(self, body, **headers):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"access_token": "token", "token_type": "Bearer", "expires_in": 3600})

    def do_GET(self):
        asked.append(self.path)
        if len(asked) == 1:
            address = f"http://127.0.0.1:{self.server.server_port}{NEXT}"
            self.answer({"members": [{"user_id": "1"}]}, Link=f'<{address}>; rel="next"')
        else:
            self.answer({"members": []})

    def log_message(self, *_):
        pass


platform = HTTPServer(("127.0.0.1", 0), Platform)
threading.Thread(target=platform.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{platform.server_port}"
key = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
registration = (
    Registration()
    .set_issuer("https://platform.example")
    .set_client_id("tool")
    .set_auth_token_url(base + "/token")
    .set_tool_private_key(key.decode())
)
NamesRolesProvisioningService(
    ServiceConnector(registration), {"context_memberships_url": base + "/Members?class=7"}
).get_members()
print("given:", NEXT)
for path in asked:
    print("asked:", path)
PY

seen=$(timeout 60 "$scratch/venv/bin/python" "$scratch/roster.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
