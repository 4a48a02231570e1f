"""The source distribution, with the same bytes every time: `make sdist`.

setuptools makes it; its files are then written in order, with the time in SOURCE_DATE_EPOCH, and without owners.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 300


def main() -> None:
    """Make it below dist/, and print its name."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as directory:
        build = ["-m", "build", "--sdist", "--no-isolation", "--outdir", directory]
        subprocess.run([sys.executable, *build], check=True, stdout=subprocess.DEVNULL, timeout=_SECONDS)
        (made,) = Path(directory).glob("*.tar.gz")
        left_out = missing(made)
        if left_out:
            sys.exit(f"sdist: MANIFEST.in leaves out: {', '.join(sorted(left_out))}")
        target = Path("dist") / made.name
        target.parent.mkdir(exist_ok=True)
        rewrite(made, target, int(os.environ["SOURCE_DATE_EPOCH"]))
    print(f"{target.name}: {target.stat().st_size // 1024} KB")


def missing(made: Path) -> set[str]:
    """Return the tracked files that the archive lacks; none outside a repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    with tarfile.open(made) as archive:
        there = {member.name.partition("/")[2] for member in archive.getmembers()}
    return {name for name in listed.stdout.split("\0") if name} - there


def rewrite(made: Path, target: Path, time: int) -> None:
    """Write the archive again, without what differs from one machine and moment to the next."""
    with (
        tarfile.open(made) as source,
        target.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            member.mtime = time
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            archive.addfile(member, source.extractfile(member) if member.isfile() else None)


if __name__ == "__main__":
    main()
