"""A child that behaves as its request says, in place of a probe."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from evals.atomic import write_json, write_text

folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
print("a line on stdout")
print("a line on stderr", file=sys.stderr, flush=True)
write_text(folder / "stage", "the third step")
if request.get("grandchild"):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    Path(request["grandchild"]).write_text(str(sleeper.pid), encoding="ascii")
if request.get("sleep"):
    time.sleep(request["sleep"])
if request.get("signal"):
    os.kill(os.getpid(), getattr(signal, request["signal"]))
if request.get("exit"):
    os._exit(request["exit"])
if request.get("garbage"):
    (folder / "answer.json").write_text("[1, 2", encoding="utf-8")
    os._exit(0)
write_json(folder / "answer.json", {"told": request["say"], "notices": ["UserWarning: beware"]})
