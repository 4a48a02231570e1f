"""I11: a directory is trusted by its whole path.

Chains of directories with owners, modes and links by chance are judged by another user's process, beside a plain
statement of the rule.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from security import attacks
from security.conftest import MEMBER, OWNER, STRANGER
from support.process import child_environment
from support.users import command_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.users import User
    from support.workers import Worker

CHAINS = 400
DEEPEST = 4
JUDGE = """
import json, sys
from glidecache_shared.trusted_path import check_directory
verdicts = []
for path, last_owner, friend in json.load(sys.stdin):
    try:
        check_directory(path, last_owner=last_owner, friend=friend)
    except PermissionError as error:
        verdicts.append([False, str(error)])
    else:
        verdicts.append([True, ""])
json.dump(verdicts, sys.stdout)
"""


@pytest.fixture
def place(open_place: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir=open_place))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def judge(user: User, questions: list[tuple[str, int | None, int | None]]) -> list[tuple[bool, str]]:
    done = subprocess.run(
        command_as(user, [sys.executable, "-c", JUDGE]),
        input=json.dumps(questions),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [(good, text) for good, text in json.loads(done.stdout)]


def steps(path: Path) -> list[tuple[Path, Path | None]]:
    """Return each directory that the kernel passes, with the name it looks up there; last the directory itself."""
    passed: list[tuple[Path, Path | None]] = []

    def go(here: Path, names: list[str]) -> Path:
        for name in names:
            if name == "..":
                passed.append((here, None))
                here = here.parent
                continue
            passed.append((here, here / name))
            if (here / name).is_symlink():
                target = str((here / name).readlink())
                start = Path("/") if target.startswith("/") else here
                here = go(start, [part for part in target.split("/") if part])
            else:
                here = here / name
        return here

    passed.append((go(Path("/"), str(path).strip("/").split("/")), None))
    return passed


def is_trusted(path: Path, judge_uid: int, last_owner: int | None, friend: int | None) -> bool:
    """Apply the rule as it is written down."""
    good = {0, judge_uid, friend}
    passed = steps(path)
    for number, (directory, entry) in enumerate(passed):
        is_last = number == len(passed) - 1
        status = directory.stat()
        owners = good | ({last_owner} if is_last else set())
        writable_by_others = bool(status.st_mode & 0o022)
        sticky = bool(status.st_mode & 0o1000)
        if status.st_uid not in owners or (writable_by_others and not sticky):
            return False
        if sticky and entry is not None and entry.lstat().st_uid not in good:
            return False
    return True


def build(place: Path, chance: random.Random, owners: list[int], number: int) -> Path:
    """Make a chain of directories below `place`, with a link in it now and then."""
    here = place / f"chain-{number}"
    made = [here]
    path = here
    here.mkdir()
    for level in range(chance.randint(1, DEEPEST)):
        here = here / f"d{level}"
        here.mkdir()
        made.append(here)
        path = path / here.name
        if chance.random() < 0.35:
            link = here.parent / f"link{level}"
            target = chance.choice(
                [here.name, str(here), f"../{here.parent.name}/{here.name}", f"./{here.name}/../{here.name}"]
            )
            link.symlink_to(target)
            os.lchown(link, chance.choice(owners), -1)
            path = path.parent / link.name
        if chance.random() < 0.15:
            path = path / ".." / path.name
    for directory in made:
        # Most are in order: a chain with everything by chance is hardly ever trusted.
        good = chance.random() < 0.7
        mode = 0o755 if good else chance.choice([0o755, 0o711, 0o775, 0o757, 0o777, 0o1777, 0o1775, 0o1755])
        directory.chmod(mode)
        os.chown(directory, chance.choice([0, owners[1]] if good else owners), -1)
        directory.chmod(mode)  # a change of owner may take the sticky bit
    if chance.random() < 0.4:
        os.chown(made[-1], chance.choice(owners), -1)
    return path


@pytest.mark.parametrize("seed", range(3))
def test_i11_chains_by_chance_are_judged_as_the_rule_says(
    place: Path, reachable_checkout: None, seed: int
) -> None:
    del reachable_checkout
    chance = random.Random(seed)
    owners = [0, MEMBER.uid, OWNER.uid, STRANGER.uid]
    questions: list[tuple[str, int | None, int | None]] = []
    for number in range(CHAINS):
        path = build(place, chance, owners, number)
        questions.append((str(path), chance.choice([None, OWNER.uid]), chance.choice([None, OWNER.uid])))
    expected = [is_trusted(Path(path), MEMBER.uid, last, friend) for path, last, friend in questions]
    found = judge(MEMBER, questions)
    wrong = [
        (question, right, text)
        for question, right, (good, text) in zip(questions, expected, found, strict=True)
        if good != right
    ]
    assert wrong == []
    assert all(text for good, text in found if not good)
    assert 40 < sum(expected) < CHAINS - 40, "both verdicts must occur often"


def test_i11_what_an_access_list_lets_others_write_is_refused(place: Path, reachable_checkout: None) -> None:
    del reachable_checkout
    directory = place / "listed"
    directory.mkdir(mode=0o755)
    import struct

    nobody = 0xFFFF_FFFF
    entries = [(1, 7, nobody), (2, 7, STRANGER.uid), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody)]
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(directory, "system.posix_acl_access", text)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error.strerror}")
    [(good, reason)] = judge(MEMBER, [(str(directory), None, None)])
    assert not good
    assert f"chmod g-w {directory}" in reason
    subprocess.run(["chmod", "g-w", directory], check=True)
    assert judge(MEMBER, [(str(directory), None, None)]) == [(True, "")]


def test_i11_a_users_own_directory_below_a_strangers_is_refused_by_daemon_and_client(
    place: Path, start_worker: Callable[[User], Worker]
) -> None:
    """The stranger could rename it, and put another in its place, whatever its own mode says."""
    stranger = start_worker(STRANGER)
    shared = place / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    stranger.run(attacks.make_directory, str(shared / "strangers"), 0o777)
    own = shared / "strangers" / "run"
    own.mkdir()
    os.chown(own, OWNER.uid, OWNER.gid)
    done = subprocess.run(
        command_as(OWNER, [sys.executable, "-m", "glidecached", "--runtime-dir", own]),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"{shared}/strangers" in done.stderr
    assert f"uid {STRANGER.uid}" in done.stderr
    assert list(own.iterdir()) == []


def test_i11_in_a_user_namespace_root_from_outside_counts_as_root(
    place: Path, reachable_checkout: None
) -> None:
    """Inside, its directories have the overflow uid; those that the process cannot write count as root's."""
    del reachable_checkout
    closed = Path("/usr/bin")
    own = Path(tempfile.mkdtemp(dir=place.parent.parent))
    os.chown(own, MEMBER.uid, MEMBER.gid)
    script = f"""
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
    sys.exit(77)
open("/proc/self/uid_map", "w").write("{MEMBER.uid} {MEMBER.uid} 1")
from glidecache_shared.trusted_path import check_directory
assert os.stat({str(closed)!r}).st_uid == int(open("/proc/sys/kernel/overflowuid").read())
check_directory({str(closed)!r})
check_directory({str(own)!r}, friend=os.geteuid())
try:
    check_directory({str(place)!r})
except PermissionError as error:
    assert "on the way to" in str(error), error
else:
    raise AssertionError("a sticky directory of somebody from outside is not root's")
"""
    done = subprocess.run(
        command_as(MEMBER, [sys.executable, "-c", script]),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    own.rmdir()
    if done.returncode == 77:
        pytest.skip("this kernel makes no user namespaces for ordinary users")
    assert done.returncode == 0, done.stderr
