"""A headless Chromium that a test types and clicks in, driven through its debugging pipe (no websocket library)."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = os.environ.get("HEADSTART_AXE", "")  # …/axe-core/axe.min.js, from `npm install axe-core` in a folder elsewhere
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--remote-debugging-pipe", "--window-size=1000,1400", "--hide-scrollbars")
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "Space": (32, " "), "ArrowLeft": (37, ""),
        "ArrowRight": (39, "")}


class Browser:
    """One page; errors of its console and refused loads are in `console_errors`."""

    def __init__(self, profile, *flags):
        command_pipe, reply_pipe = os.pipe(), os.pipe()
        os.set_inheritable(command_pipe[0], True)
        os.set_inheritable(reply_pipe[1], True)

        def connect_pipes():
            os.dup2(command_pipe[0], 3)
            os.dup2(reply_pipe[1], 4)

        command_copy, reply_copy = os.dup(command_pipe[0]), os.dup(reply_pipe[1])  # 3 and 4 may be in use here
        os.close(command_copy), os.close(reply_copy)
        self.process = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, "about:blank"],
                                        pass_fds=(3, 4),
                                        preexec_fn=connect_pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(command_pipe[0]), os.close(reply_pipe[1])
        self.commands, self.replies, self.message_id, self.session_id = os.fdopen(command_pipe[1], "wb"), os.fdopen(
            reply_pipe[0], "rb"), 0, None
        self.console_errors, self.buffer = [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session_id = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.message_id += 1
        message = {"id": self.message_id, "method": method, "params": params}
        if self.session_id:
            message["sessionId"] = self.session_id
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while True:
            reply = self.read()
            if reply.get("id") == self.message_id:
                assert "error" not in reply, reply
                return reply["result"]
            self.record_event(reply)

    def read(self):
        while b"\0" not in self.buffer:
            data = os.read(self.replies.fileno(), 1 << 20)
            assert data, "the browser has gone"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def record_event(self, event):
        if event.get("method") == "Runtime.exceptionThrown":
            self.console_errors.append(str(event["params"]["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.console_errors.append(event["params"]["entry"]["text"])

    def run(self, script):
        reply = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def until(self, script, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never: {script}; console errors: {self.console_errors}"
            time.sleep(0.05)
        return value

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def press(self, key):
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            text_parameter = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **text_parameter)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def click(self, selector):
        center = self.run(f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: "
                          f"'center'}});"
                          " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=center[0], y=center[1], button="left", clickCount=1)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def violations(self):
        """What axe-core finds on the page that is open: rule, the first element, and how to mend it."""
        self.run(Path(AXE).read_text(encoding="utf-8") + ";0")
        return json.loads(self.run(
            "axe.run(document, {resultTypes: ['violations']}).then((report) => JSON.stringify(report.violations.map("
            "(rule) => [rule.id, rule.nodes[0].html.slice(0, 200), rule.nodes[0].failureSummary])))"))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.commands.close(), self.replies.close()
