"""A child that does as its request says."""

import os
import sys
import time

from lifeos.child import child_main
from lifeos.errors import InputError


def walk(request, folder):
    (folder / "pid").write_text(str(os.getpid()), encoding="ascii")
    with (folder / "runs.log").open("a", encoding="utf-8") as file:
        file.write("run\n")
    time.sleep(request.get("pause", 0))
    if request.get("fail") == "crash":
        raise ZeroDivisionError("divided")
    if request.get("fail") == "input":
        raise InputError("recipe: accepted x, got y; next: z")
    if request.get("fail") == "vanish":
        os._exit(9)
    return {"answer": 42}


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
