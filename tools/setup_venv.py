#!/usr/bin/env python3
"""Make a virtual environment with this project in it, or do nothing when it is up to date.

    setup_venv.py VENV EXTRAS [REQUIREMENT ...] [-- PIP OPTION ...]

Called by the Makefile on machines that have only Python and make, so it uses the standard library alone and must at
least start on an old Python, to say that it is too old. Two calls at once wait for each other.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)


def main(arguments):
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit(f"Gyaku needs Python 3.11 or newer, this is {found}. Name one: make PYTHON=/path/to/python3.11 ...")
    options = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    named = arguments[: arguments.index("--")] if "--" in arguments else arguments
    venv, extras, requirements = os.path.join(ROOT, named[0]), named[1], named[2:]
    with lock(venv + ".lock"):
        install(venv, extras, requirements, options)


@contextlib.contextmanager
def lock(path):
    """Hold an operating-system lock on a file, which ends with the process; without fcntl go on alone."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install(venv, extras, requirements, options):
    stamp, wanted = os.path.join(venv, ".stamp-" + extras.replace(",", "-")), fingerprint(extras, requirements)
    if read(stamp) == wanted:
        return
    started = time.time()
    print(f"Installing gyaku[{extras}] into {os.path.relpath(venv, ROOT)} ...", flush=True)
    python = make_environment(venv)
    quietly(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *options, *requirements]
        + ["--editable", f"{ROOT}[{extras}]"]
    )
    with open(stamp, "w") as handle:
        handle.write(wanted)
    print(f"Installed in {time.time() - started:.0f} s.", flush=True)


def read(path):
    try:
        with open(path) as handle:
            return handle.read()
    except OSError:
        return ""


def fingerprint(extras, requirements):
    """What the environment depends on: the project file, the request and the Python that made it."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as handle:
        text = handle.read() + repr([extras, requirements, sys.version, ROOT]).encode()
    return hashlib.sha256(text).hexdigest()


def make_environment(venv):
    python = os.path.join(venv, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
    if not works(python):
        try:
            quietly([sys.executable, "-m", "venv", "--clear", venv])
        except SystemExit:
            print("The venv module is incomplete; on Debian or Ubuntu: apt install python3-venv", file=sys.stderr)
            raise
    return python


def works(python):
    """Whether an interpreter is there, is new enough and has pip (an interrupted first call may leave half of it)."""
    test = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    return os.path.exists(python) and subprocess.call([python, "-c", test], stderr=subprocess.DEVNULL) == 0


def quietly(command):
    """Run a command and show what it printed only when it failed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(command)}")


if __name__ == "__main__":
    main(sys.argv[1:])
