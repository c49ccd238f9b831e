"""A headless Chromium that a test types and clicks in, spoken to through its debugging pipe (no websocket library)."""

import base64
import json
import os
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
         "--window-size=1000,1400", "--hide-scrollbars")
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "Space": (32, " ")}


class Browser:
    """One page; faults of its console and refused loads are in `faults`."""

    def __init__(self, profile, *more):
        begin, end = os.pipe(), os.pipe()
        os.set_inheritable(begin[0], True)
        os.set_inheritable(end[1], True)

        def wire():
            os.dup2(begin[0], 3)
            os.dup2(end[1], 4)

        first, last = os.dup(begin[0]), os.dup(end[1])  # 3 and 4 may be in use here
        os.close(first), os.close(last)
        self.process = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *more, "about:blank"], pass_fds=(3, 4),
                                        preexec_fn=wire, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(begin[0]), os.close(end[1])
        self.out, self.back, self.number, self.session = os.fdopen(begin[1], "wb"), os.fdopen(end[0], "rb"), 0, None
        self.faults, self.rest = [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.out.write(json.dumps(message).encode() + b"\0")
        self.out.flush()
        while True:
            held = self.read()
            if held.get("id") == self.number:
                assert "error" not in held, held
                return held["result"]
            self.note(held)

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.back.fileno(), 1 << 20)
            assert more, "the browser has gone"
            self.rest += more
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def note(self, held):
        if held.get("method") == "Runtime.exceptionThrown":
            self.faults.append(str(held["params"]["exceptionDetails"]))
        if held.get("method") == "Log.entryAdded" and held["params"]["entry"]["level"] == "error":
            self.faults.append(held["params"]["entry"]["text"])

    def run(self, script):
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script, seconds=30.0):
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never: {script}; faults: {self.faults}"
            time.sleep(0.05)
        return found

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def press(self, key):
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def click(self, selector):
        place = self.run(f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}});"
                         " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.out.close(), self.back.close()
