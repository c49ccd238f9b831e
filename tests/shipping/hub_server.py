"""A stand-in of the hub's API on this machine, as far as a push goes: repositories, branches, large files, commits."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_" + "a" * 34


class Repository:
    """Branches with their files, and whether only its owner sees it."""

    def __init__(self, private, files=()):
        self.private, self.branches, self.messages = private, {"main": {".gitattributes": b"", **dict(files)}}, []

    def sha(self, branch):
        return hashlib.sha1(repr(sorted(self.branches[branch].items())).encode()).hexdigest()


class Hub:
    """What the server knows, and what it was asked."""

    def __init__(self):
        self.repositories, self.uploads, self.asked, self.refuse = {}, {}, [], {}
        self.ignored = ()
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, content=None, **headers):
        body = json.dumps(content or {}).encode()
        self.send_response(status)
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def respond(self):
        hub, path = self.server.hub, self.path.partition("?")[0].replace("%2F", "/")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        hub.asked.append((self.command, path))
        for start, status in hub.refuse.items():
            if path.startswith(start):
                return self.answer(status, {"error": "you may not"}, X_Error_Message="you may not")
        if path.startswith("/upload/"):
            hub.uploads[path.rpartition("/")[2]] = body
            return self.answer(200)
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid credentials"}, X_Error_Message="Invalid credentials in token")
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            order = json.loads(body)
            name = f"{order['organization']}/{order['name']}"
            private = order.get("visibility", "private" if order.get("private") else "public") == "private"
            hub.repositories[name] = Repository(private)
            return self.answer(200, {"url": f"{hub.url}/{name}", "name": name})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [{**entry, "actions": {"upload": {"href": f"{hub.url}/upload/{entry['oid']}", "header": {}}}}
                       for entry in json.loads(body)["objects"]]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        return self.respond_about(hub, path.removeprefix("/api/models/").split("/"), body)

    do_GET = do_POST = do_PUT = respond

    def respond_about(self, hub, parts, body):
        name, action, branch = "/".join(parts[:2]), "".join(parts[2:3]), "/".join(parts[3:]) or "main"
        repository = hub.repositories.get(name)
        if repository is None:
            return self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        if action == "branch":
            repository.branches.setdefault(branch, dict(repository.branches["main"]))
            return self.answer(200)
        if branch not in repository.branches:
            return self.answer(404, {"error": "Revision not found"}, X_Error_Code="RevisionNotFound")
        files = repository.branches[branch]
        if action == "preupload":
            return self.answer(200, {"files": [
                {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                 "shouldIgnore": file["path"] in hub.ignored, "oid": None} for file in json.loads(body)["files"]]})
        if action == "commit":
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                match line["key"]:
                    case "header":
                        repository.messages.append(value["summary"])
                        if value.get("parentCommit") not in (None, repository.sha(branch)):
                            return self.answer(412, {"error": "the branch moved"})
                    case "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    case "lfsFile":
                        files[value["path"]] = hub.uploads[value["oid"]]
                    case "deletedFile":
                        del files[value["path"]]
            return self.answer(200, {"success": True, "commitOid": repository.sha(branch),
                                     "commitUrl": f"{hub.url}/{name}/commit/{repository.sha(branch)}"})
        return self.answer(200, {"id": name, "private": repository.private, "sha": repository.sha(branch),
                                 "siblings": [{"rfilename": file} for file in files]})


@contextlib.contextmanager
def running_hub():
    """A hub that answers at `hub.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = server.hub = Hub()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
