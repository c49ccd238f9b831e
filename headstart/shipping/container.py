"""The texts of a container: Dockerfile for processor and GPU, compose and Kubernetes, and how to start them.

The container runs as a user without rights, on a file system that it cannot write, and answers two probes: /health (the
process lives) and /ready (every model says of its golden rows what it said when it was loaded).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headstart.contract import Json

PORT = 8000
USER = 10001
GRACE = 40  # seconds from SIGTERM to the end: requests are answered within the server's deadline of 30
ALIVE = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/health', timeout=4)"


@dataclass(frozen=True)
class Served:
    """What the container serves: the name of its model, a row as an example, and the Python that it was trained with.
    """

    name: str
    task: str
    sample: Mapping[str, Json]
    python: str  # 3.12
    headstart: str


def dockerfile(served: Served, *, gpu: bool) -> str:
    """The Dockerfile of one variant; the build's argument TORCH_INDEX names another index for torch than pip's, as
    PyTorch has one of builds for the processor alone.
    """
    argument, index = ("", "") if gpu else ("ARG TORCH_INDEX\n", "${TORCH_INDEX:+--index-url $TORCH_INDEX} ")
    variant, name = ("GPU", "Dockerfile.gpu") if gpu else ("processor", "Dockerfile")
    command = ["python", "-m", "headstart", "serve", f"{served.name}=/app/model", "--host", "0.0.0.0", "--port",
               str(PORT)]
    return f"""# {served.name} ({served.task}) as a service, for the {variant}.
# docker build -f {name} -t {served.name} .
FROM python:{served.python}-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 HOME=/tmp
WORKDIR /app
COPY requirements.txt requirements-torch.txt ./
RUN pip install --no-cache-dir --no-deps -r requirements.txt
{argument}RUN pip install --no-cache-dir {index}-r requirements-torch.txt
RUN pip check
RUN useradd --uid {USER} --no-create-home --home-dir /tmp --shell /usr/sbin/nologin model
COPY headstart ./headstart
COPY model ./model
USER {USER}:{USER}
EXPOSE {PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 CMD {json.dumps(["python", "-c", ALIVE])}
CMD {json.dumps(command)}
"""


def compose(served: Served) -> str:
    """compose.yaml: this machine alone reaches it."""
    return f"""# HEADSTART_TOKEN=… docker compose up --build
services:
  {served.name}:
    build:
      context: .
      args: {{TORCH_INDEX: "${{TORCH_INDEX:-}}"}}
    image: {served.name}
    ports: ["127.0.0.1:{PORT}:{PORT}"]
    environment:
      HEADSTART_TOKEN: ${{HEADSTART_TOKEN:?the token that clients must send}}
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    restart: unless-stopped
    stop_grace_period: {GRACE}s
"""


def compose_gpu(served: Served) -> str:
    """compose.gpu.yaml: what a GPU adds."""
    return f"""# HEADSTART_TOKEN=… docker compose -f compose.yaml -f compose.gpu.yaml up --build
services:
  {served.name}:
    build: {{context: ., dockerfile: Dockerfile.gpu}}
    image: {served.name}-gpu
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]
"""


def kubernetes(served: Served) -> str:
    """kubernetes.yaml: a deployment with its three probes, and its service."""
    name = served.name
    return f"""# kubectl create secret generic {name}-token --from-literal=token="$HEADSTART_TOKEN"
# kubectl apply -f kubernetes.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: {GRACE}
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, runAsUser: {USER}, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: {name}
          image: {name}
          ports: [{{containerPort: {PORT}}}]
          env:
            - name: HEADSTART_TOKEN
              valueFrom: {{secretKeyRef: {{name: {name}-token, key: token}}}}
          startupProbe: {{httpGet: {{path: /ready, port: {PORT}}}, periodSeconds: 5, failureThreshold: 60}}
          readinessProbe: {{httpGet: {{path: /ready, port: {PORT}}}, periodSeconds: 10, timeoutSeconds: 5}}
          livenessProbe: {{httpGet: {{path: /health, port: {PORT}}}, periodSeconds: 10, timeoutSeconds: 5}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
          volumeMounts: [{{name: tmp, mountPath: /tmp}}]
      volumes: [{{name: tmp, emptyDir: {{}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: {PORT}, targetPort: {PORT}}}]
"""


def curl_line(served: Served) -> str:
    """A request that works."""
    body = json.dumps({"rows": [served.sample]}).replace("'", "\\u0027")
    return (f"curl -s http://127.0.0.1:{PORT}/v1/predict -H \"Authorization: Bearer $HEADSTART_TOKEN\" "
            f"-H 'Content-Type: application/json' -d '{body}'")


def readme(served: Served) -> str:
    """How the container is built, started and asked."""
    return f"""# {served.name}, ready for a container

A model for {served.task}, with headstart {served.headstart} that serves it. Nothing here is a row of its training data.

```sh
export HEADSTART_TOKEN=$(python3 -c "import secrets; print(secrets.token_urlsafe())")
# INDEX: choose Linux, Pip, CPU on PyTorch's page "Get started".
docker build -t {served.name} --build-arg TORCH_INDEX=INDEX .
docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:{PORT}:{PORT} -e HEADSTART_TOKEN {served.name}
```

Once `/ready` answers 200, ask it:

```sh
{curl_line(served)}
```

| file | what |
|---|---|
| `Dockerfile`, `Dockerfile.gpu` | for the processor, and for an NVIDIA GPU (`docker run --gpus all …`) |
| `compose.yaml`, `compose.gpu.yaml` | the same with `docker compose`; the second adds the GPU to the first |
| `kubernetes.yaml` | a deployment and a service, with a probe each for start, readiness and life |
| `requirements.txt` | every package with the version that the model was packaged with |
| `requirements-torch.txt` | torch; without TORCH_INDEX it is pip's build for GPUs, some 4 GB |
| `headstart/` | the version of headstart that made this folder |
| `model/` | the model: weights, tokenizer, `headstart.json`, its card (`README.md`) |

- It runs as user {USER}, without a right and on a file system that it cannot write but for /tmp.
- `/health` says whether the process runs; `/ready` that the model answers as it did when it was loaded. Neither needs
  the token; everything else does. There is no TLS: put a proxy before it.
- SIGTERM: nothing new is taken, and what is there is answered. Give it {GRACE} s.
- More processes on one machine: add `"--workers", "4"` to `CMD`; they share the model's memory. Not with a GPU.
"""


def files(served: Served, pins: Mapping[str, str]) -> dict[str, str]:
    """Every text of the folder, by file."""
    head = f"# What was installed where {served.name} was packaged, with Python {served.python}.\n"
    lines = [line for name, line in pins.items() if name != "torch"]
    return {"Dockerfile": dockerfile(served, gpu=False), "Dockerfile.gpu": dockerfile(served, gpu=True),
            "compose.yaml": compose(served), "compose.gpu.yaml": compose_gpu(served),
            "kubernetes.yaml": kubernetes(served), "README.md": readme(served),
            "requirements.txt": head + "\n".join(lines) + "\n",
            "requirements-torch.txt": pins["torch"] + "\n"}
