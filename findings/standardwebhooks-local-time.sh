#!/usr/bin/env bash
# standardwebhooks for Python signs another moment than the one it is given,
# unless that is written in UTC.
#
# Guessed: sign() takes a datetime, so one moment gives one signature, in
#   whatever zone it is written; the package for JavaScript takes a Date.
# Happens: sign() puts UTC in the place of the zone and keeps the clock's
#   digits. 12:00+02:00 is signed as 12:00 UTC, two hours after the
#   webhook-timestamp that the sender makes of the same datetime, and no
#   receiver accepts the signature. datetime.now() without a zone fares alike.
# Versions: standardwebhooks 1.1.0 (PyPI) and 1.1.1 (npm); svix 2.9.1 (PyPI),
#   which signs with it.
# Matters: the sender works on a machine in UTC, such as CI, and in London in
#   winter, and sends nothing but refused webhooks elsewhere. Give it
#   datetime.now(timezone.utc).
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  standardwebhooks==1.1.0 svix==2.9.1 tzdata==2026.6 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund standardwebhooks@1.1.1 >&2

recorded='now in UTC
  standardwebhooks: accepted by Python, accepted by JavaScript
  svix: accepted by Python, accepted by JavaScript
now in Asia/Tokyo
  standardwebhooks: No matching signature found by Python, No matching signature found by JavaScript
  svix: No matching signature found by Python, No matching signature found by JavaScript'

cat >"$scratch/receive.cjs" <<'JS'
const { Webhook } = require("standardwebhooks");
const { secret, body, headers } = JSON.parse(process.argv[2]);
try {
  new Webhook(secret).verify(body, headers);
  console.log("accepted");
} catch (error) {
  console.log(error.message);
}
JS
cat >"$scratch/send.py" <<'PY'
import base64
import json
import os
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import standardwebhooks
import svix

body = json.dumps({"type": "member.added", "data": {"user": "ada"}})
secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
for zone in ("UTC", "Asia/Tokyo"):
    print("now in", zone)
    for library in (standardwebhooks, svix):
        now = datetime.now(ZoneInfo(zone))
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": library.Webhook(secret).sign("msg_1", now, body),
        }
        try:
            standardwebhooks.Webhook(secret).verify(body, headers)
            python = "accepted"
        except standardwebhooks.WebhookVerificationError as error:
            python = str(error)
        message = json.dumps({"secret": secret, "body": body, "headers": headers})
        javascript = subprocess.run(
            ["node", sys.argv[1], message], capture_output=True, text=True, check=True
        ).stdout.strip()
        print(f"  {library.__name__}: {python} by Python, {javascript} by JavaScript")
PY

seen=$(timeout 60 "$scratch/venv/bin/python" "$scratch/send.py" "$scratch/receive.cjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
