"""``lifeos hooks``: the commit hook of this checkout."""

import typer

from lifeos.cli_options import Json

app = typer.Typer(help="The commit hook of this checkout.", no_args_is_help=True)


@app.command("install")
def install() -> int:
    """Let every commit be preceded by a look for secrets and by the cheap gates; another's hook is left alone."""
    from lifeos.operations.hooks import install_hook
    from lifeos.settings import project_root

    path, new = install_hook(project_root())
    print(f"{path}: {'written' if new else 'was there already'}")
    return 0


@app.command("uninstall")
def uninstall() -> int:
    """Remove the hook, if it is the one of lifeos."""
    from lifeos.operations.hooks import uninstall_hook
    from lifeos.settings import project_root

    print("removed" if uninstall_hook(project_root()) else "there was none")
    return 0


@app.command("check")
def check(as_json: Json = False) -> int:
    """Say what must not be committed of what is staged; exit status 0 nothing, 1 something."""
    import json

    from lifeos.operations.hooks import staged_problems
    from lifeos.settings import project_root

    problems = staged_problems(project_root())
    if as_json:
        print(json.dumps({"schema": "lifeos.hooks/1", "problems": problems}))
    else:
        print("".join(f"{problem}\n" for problem in problems), end="")
        if problems:
            print("next: take it out of the commit; a line that is none: # pragma: allowlist secret")
    return 1 if problems else 0
