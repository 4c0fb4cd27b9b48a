"""A headless Chromium, driven by its WebDriver."""

import base64
import json
import subprocess
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_SECONDS_MAX = 20


class Browser:
    def __init__(self, folder):
        self.log = open(folder / "chromedriver.log", "w")

    def __enter__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = next(line for line in self.driver.stdout if "started successfully on port" in line)
        self.url = f"http://127.0.0.1:{line.split()[-1].rstrip('.')}/session"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=640,620"]}
        always = {"acceptInsecureCerts": True, "goog:chromeOptions": options}
        self.url += "/" + self.ask("POST", "", {"capabilities": {"alwaysMatch": always}})["sessionId"]
        return self

    def __exit__(self, *_):
        self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait()
        self.log.close()

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["value"]

    def find(self, selector):
        return "/element/" + self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def type(self, selector, text):
        self.ask("POST", self.find(selector) + "/clear", {})
        self.ask("POST", self.find(selector) + "/value", {"text": text})

    def click(self, selector):
        self.ask("POST", self.find(selector) + "/click", {})

    def wait_for(self, selector, text):
        end = time.monotonic() + WAIT_SECONDS_MAX
        while text not in (seen := self.ask("GET", self.find(selector) + "/text")):
            if time.monotonic() > end:
                raise AssertionError(f"the page says {seen!r}, not {text!r}")
            time.sleep(0.05)

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))
