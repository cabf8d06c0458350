"""``install-extra``: optional packages, on demand."""

import json
from typing import Annotated

import typer

from lifeos.cli_options import Json

SCHEMA = "lifeos.install-extra/1"


def install_extra(
    name: Annotated[str, typer.Argument(help="sweep: Ray and Optuna, for parameter sweeps.", metavar="NAME")],
    as_json: Json = False,
) -> int:
    """Install optional packages, pinned, into the environment that runs this; quick where they stand already.

    Exit status: 0 they stand, 2 no such extra, or pip could not install it.
    """
    from lifeos.extras import install, lock_of, pinned

    made = install(name)
    packages = pinned(lock_of(name))
    if as_json:
        print(json.dumps({"schema": SCHEMA, "extra": name, "installed": made, "packages": packages}))
        return 0
    print(f"extra {name}: {len(packages)} packages {'installed' if made else 'stand already'}")
    return 0
