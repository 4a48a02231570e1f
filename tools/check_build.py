"""Look for what compiling needs of a machine, before anything is installed.

    python3 tools/check_build.py

prints one line for the first thing that is missing, and exits 1; it prints nothing where all is there. It looks at
the interpreter that runs it, and at the compiler that a build with it would take (CC, else the interpreter's own).
It is written so that Python 2.7 can run it, and say that it is too old.
"""

from __future__ import print_function

import os
import shlex
import subprocess
import sys
import sysconfig

OLDEST = (3, 11)
DEBIAN = "on Debian: apt-get install gcc libc6-dev make python3-dev python3-venv"


def problem():  # noqa: ANN201 - annotations are a syntax error in Python 2.7
    """Return what is missing, where, and what to do, or None."""
    version = "%d.%d" % sys.version_info[:2]
    if sys.version_info < OLDEST:
        oldest = "%d.%d" % OLDEST
        return "%s is Python %s; %s or later is needed (make PYTHON=/path/to/python%s)" % (
            sys.executable,
            version,
            oldest,
            oldest,
        )
    if not sys.platform.startswith("linux"):
        return "this is %s; glidecached runs on Linux alone" % sys.platform
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if not os.path.exists(header):
        return "Python's headers are not installed: %s is missing (%s)" % (header, DEBIAN)
    return compiler_problem()


def compiler_problem():  # noqa: ANN201
    """Return what keeps the compiler from making a program, or None."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    source = "#include <stdatomic.h>\n#include <stdio.h>\nint main(void) { return 0; }\n"
    arguments = shlex.split(command) + ["-std=c11", "-x", "c", "-fsyntax-only", "-"]
    try:
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        return "no C compiler: %s: %s (%s; or CC=/path/to/compiler)" % (command, error.strerror, DEBIAN)
    said = process.communicate(source.encode())[0].decode("utf-8", "replace").strip()
    if process.returncode:
        return "the C compiler (%s) does not compile a C11 program: %s (%s; or CC=/path/to/compiler)" % (
            command,
            said.split("\n")[0] or "it exits %d and says nothing" % process.returncode,
            DEBIAN,
        )
    return None


def modules_problem():  # noqa: ANN201
    """Return which module of the standard library is missing for a virtual environment, or None."""
    for name in ("venv", "ensurepip"):
        try:
            __import__(name)
        except ImportError:
            return "%s has no module %s, which makes virtual environments (%s)" % (
                sys.executable,
                name,
                DEBIAN,
            )
    return None


if __name__ == "__main__":
    found = problem() or modules_problem()
    if found:
        print("glidecached: %s" % found, file=sys.stderr)
        sys.exit(1)
