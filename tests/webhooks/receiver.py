#!/usr/bin/env python3
"""A receiver of webhooks: receiver.py PORT SECRET FILE [FAILING]

Verifies each webhook by the library of Standard Webhooks, answers a part of them with 500, and appends each of the
others to FILE, as a line of JSON, before it answers.
"""

import http.server
import json
import os
import random
import sys
import threading

from standardwebhooks import Webhook, WebhookVerificationError

PORT, SECRET, FILE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
FAILING = float(sys.argv[4])


class Book:
    """What was received. A webhook of a lane that comes while another one of it is under way is noted."""

    def __init__(self):
        self.lock, self.under_way = threading.Lock(), {}
        self.file = open(FILE, "a")

    def begin(self, lane, event):
        with self.lock:
            of_lane = self.under_way.setdefault(lane, [])
            # After an end of the relay, the same one may come again before this receiver has answered.
            if any(other != event for other in of_lane):
                self.write({"overlap": lane, "event": event})
            of_lane.append(event)

    def end(self, lane, event):
        with self.lock:
            self.under_way[lane].remove(event)

    def write(self, line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def keep(self, lane, event, body):
        with self.lock:
            self.write({"lane": lane, "event": event, "body": body})


class Handler(http.server.BaseHTTPRequestHandler):
    book = Book()
    webhook = Webhook(SECRET)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            payload = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            with self.book.lock:
                self.book.write({"unverified": str(error)})
            return self.answer(401)
        data = payload["data"]
        lane, event = data.get("class") or data["organization"], self.headers["webhook-id"]
        self.book.begin(lane, event)
        fails = random.random() < FAILING
        if not fails:
            self.book.keep(lane, event, body.decode())
        # Before the answer, which the next one may follow at once.
        self.book.end(lane, event)
        self.answer(500 if fails else 204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


Server(("127.0.0.1", PORT), Handler).serve_forever()
