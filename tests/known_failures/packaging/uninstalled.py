"""What is left in site-packages after one of two builds that share a folder was uninstalled."""

import json
import subprocess
import sys

_PROBE = """
import json, sys
try:
    import onnxruntime
    onnxruntime.InferenceSession
    problem = None
except Exception as error:
    problem = f"{type(error).__name__}: {error}"
print(json.dumps(problem))
"""


def ort_uninstall_one_breaks_both(place, left):
    arguments = [sys.executable, "-c", _PROBE]
    if left != "everything":
        # pip removes the files it knows; what Python wrote beside them keeps the folder alive.
        place.data("site/onnxruntime/capi/__pycache__/left.pyc", b"")
        # -S: without the installed build, as after the uninstall.
        arguments = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, 'site'){_PROBE}"]
    done = subprocess.run(arguments, cwd=place.folder, capture_output=True, text=True, check=True, encoding="utf-8")
    results = [{"name": "onnxruntime.InferenceSession", "problem": json.loads(done.stdout)}]
    gpu = {"name": "NVIDIA A40", "memory_gib": 45, "capability": [8, 6]}
    record = {
        "driver": "570.124.06",
        "cuda": [12, 8],
        "gpus": [gpu],
        "answers": {"imports": {"body": {"results": results}}},
    }
    return {"machine": place.text("machine.json", json.dumps(record))}
