"""The files of deploy/ agree with each other, with the service's, with the programs, and with the page about them."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import stat
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from containers.conftest import DAEMON_ID
from glidecached.cli import daemon as daemon_command
from glidecached.cli import operator
from support.daemon import Daemon
from support.deploy_files import (
    COMPOSE,
    CONFIGURATION,
    DEPLOY,
    MANIFESTS,
    documents,
    image,
    pods,
    size_bytes,
    stages,
)
from support.process import ROOT, ChildProcess, child_environment
from support.valkey_server import HOST, ValkeyServer, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "containers.md").read_text()
TOML = CONFIGURATION.read_text()
SETTINGS = tomllib.loads(TOML)["daemon"]
RUNTIME_DIR, POOL_DIR = SETTINGS["runtime_dir"], SETTINGS["pool_dir"]
RUNTIME_MODE, POOL_MODE = "0750", "0710"
OWN_MEMORY_BYTES = 200 << 20
"""The daemon's need beside its pools, as the unit says it."""
IDS = f"{DAEMON_ID}:{DAEMON_ID}"
COMPOSED: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())


def containers(manifest: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The project's own containers of a manifest: a name, the pod's specification and the container's."""
    for pod, spec in pods(manifest).items():
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            if container["image"].startswith("glidecached"):
                yield f"{pod}/{container['name']}", spec, container


class Application(ChildProcess):
    """The application of deploy/ as a process of this host."""

    def __init__(self, log_path: Path, daemon: Daemon, port: int) -> None:
        super().__init__(log_path)
        self._daemon = daemon
        self._port = port

    def start(self) -> None:
        self._spawn(
            [sys.executable, DEPLOY / "application.py"],
            GLIDECACHED_RUNTIME_DIR=str(self._daemon.runtime_dir),
            PORT=str(self._port),
        )
        wait_until(lambda: not self.running or self._answers(), "the application serves")
        assert self.running, self.log_text()

    def printed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    def look(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{HOST}:{self._port}/", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _answers(self) -> bool:
        try:
            return bool(self.look())
        except urllib.error.URLError:
            return False


EACH = [
    pytest.param(spec, container, id=f"{manifest.stem}:{name}")
    for manifest in MANIFESTS
    for name, spec, container in containers(manifest)
]


@pytest.mark.parametrize("path", [CONFIGURATION, ROOT / "systemd" / "glidecached.toml"], ids=str)
def test_the_daemon_accepts_the_configuration(path: Path) -> None:
    done = run(
        [sys.executable, "-m", "glidecached", "--check-config", "--config", path],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "correct" in done.stdout


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_hold_the_same_configuration(manifest: Path) -> None:
    (map_,) = documents(manifest, "ConfigMap")
    assert map_["data"] == {"glidecached.toml": TOML.split("\n\n", 1)[1]}


def test_a_service_of_systemd_has_the_same_directories() -> None:
    """So a worker's container mounts the same, whatever runs the daemon."""
    service = ROOT / "systemd"
    assert tomllib.loads((service / "glidecached.toml").read_text())["daemon"]["pool_dir"] == POOL_DIR
    assert f"d {POOL_DIR} {POOL_MODE} " in (service / "tmpfiles.d" / "glidecached.conf").read_text()
    unit = (service / "glidecached.service").read_text()
    assert "--runtime-dir %t/glidecached" in unit
    assert f"/run/{Path(RUNTIME_DIR).name}" == RUNTIME_DIR
    assert f"RuntimeDirectoryMode={RUNTIME_MODE}" in unit


def test_the_image_is_the_daemons_user_by_number() -> None:
    own = image("glidecached")
    (accounts,) = [rest for word, rest in own.instructions if word == "RUN"]
    assert f"groupadd --gid {DAEMON_ID} " in accounts
    assert f"useradd --uid {DAEMON_ID} --gid {DAEMON_ID} " in accounts
    assert f"-m {RUNTIME_MODE} {RUNTIME_DIR}" in accounts
    assert own.user == IDS


@pytest.mark.parametrize("name", ["glidecached", "glidecached-application"])
def test_images_are_slim_and_hear_signals(name: str) -> None:
    """Commands in the form that starts no shell: a shell as first process would keep SIGTERM for itself."""
    own = image(name)
    words = dict(own.instructions)
    assert words["FROM"].startswith("python:${PYTHON_VERSION}-slim AS")
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert own.entrypoint
    assert not re.search(r"\b(apt-get|gcc|pip)\b", " ".join(rest for _, rest in own.instructions))
    assert all(int(number) > 0 for number in own.user.split(":"))


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for instructions in stages().values()
        for word, rest in instructions
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == let_through, "each is of use, and none is missing"
    assert [line for line in ignored if line[0] not in "#!"] == ["*"]
    for source in copied:
        assert (ROOT / source).exists() or fnmatch.fnmatch(source, "dist/*"), source
    assert (DEPLOY / "install-glidecached").stat().st_mode & stat.S_IXUSR


def parsed(command: click.Command, words: list[str]) -> None:
    """Take the words as the program would. Raises `click.UsageError`."""
    name, *arguments = words
    if isinstance(command, click.Group):
        parsed(command.commands[arguments[0]], arguments)
    else:
        command.make_context(name, arguments)


def shown_commands() -> set[tuple[str, ...]]:
    """The commands of the project's programs in the files."""
    own = image("glidecached")
    found = {(*own.entrypoint, *own.command), tuple(own.healthcheck)}
    found.add(tuple(COMPOSED["services"]["glidecached"]["healthcheck"]["test"][1:]))
    for manifest in MANIFESTS:
        for _, _, container in containers(manifest):
            found |= {tuple(each["exec"]["command"]) for each in probes(container)}
    return found


def probes(container: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for name, each in container.items() if name.endswith("Probe") and "exec" in each]


@pytest.mark.parametrize("words", sorted(shown_commands()), ids=shlex.join)
def test_the_programs_take_what_the_files_say(words: tuple[str, ...]) -> None:
    parsed({"glidecached": daemon_command.main, "glidecache": operator.main}[words[0]], list(words))


@pytest.mark.parametrize(("spec", "container"), EACH)
def test_manifests_give_users_groups_and_places(spec: dict[str, Any], container: dict[str, Any]) -> None:
    pod, own = spec["securityContext"], container["securityContext"]
    user = {**pod, **own}
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"]["drop"] == ["ALL"]
    if container["name"] == "application":
        assert f"{user['runAsUser']}:{user['runAsGroup']}" == image(container["image"]).user
        assert DAEMON_ID in [*pod.get("supplementalGroups", ()), pod.get("fsGroup")]
    elif container["name"] == "glidecached":
        assert (user["runAsUser"], user["runAsGroup"]) == (DAEMON_ID, DAEMON_ID)
    if container["name"] != "directories":
        places = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {RUNTIME_DIR, POOL_DIR} <= set(places)
        assert "readOnly" not in places[POOL_DIR]
    for volume in spec["volumes"]:
        if "hostPath" in volume:
            assert volume["hostPath"]["path"] in {RUNTIME_DIR, POOL_DIR}, "the same path inside and outside"


def test_the_commands_of_init_containers_use_the_same_numbers() -> None:
    texts = {
        name: " ".join(container["args"])
        for manifest in MANIFESTS
        for name, _, container in containers(manifest)
        if container["name"] == "directories"
    }
    assert texts == {
        "glidecached/directories": (
            f"chown {IDS} {RUNTIME_DIR} {POOL_DIR} && "
            f"chmod {RUNTIME_MODE} {RUNTIME_DIR} && chmod {POOL_MODE} {POOL_DIR}"
        ),
        "application/directories": (
            f"mkdir -p -m {RUNTIME_MODE} /shared/run && mkdir -p -m {POOL_MODE} /shared/pools"
        ),
    }


def test_compose_gives_users_groups_and_places() -> None:
    services = COMPOSED["services"]
    assert services["glidecached"]["user"] == IDS
    assert services["application"]["group_add"] == [str(DAEMON_ID)]
    for name in ("glidecached", "application"):
        places = {mount["target"]: mount for mount in services[name]["volumes"]}
        assert {RUNTIME_DIR, POOL_DIR} <= set(places)
        assert "read_only" not in places[POOL_DIR]
    for volume, mode in (("runtime", RUNTIME_MODE), ("pools", POOL_MODE)):
        options = COMPOSED["volumes"][volume]["driver_opts"]["o"]
        assert options.endswith(f"uid={DAEMON_ID},gid={DAEMON_ID},mode={mode}")


def test_limits_leave_room_for_the_pools() -> None:
    pools = SETTINGS["max_total_cache_kb"] * 1024 * 5 // 4
    limits = [COMPOSED["services"]["glidecached"]["mem_limit"]]
    volumes = re.findall(r"size=(\w+)", COMPOSED["volumes"]["pools"]["driver_opts"]["o"])
    for manifest in MANIFESTS:
        for _, _, container in containers(manifest):
            limits += container.get("resources", {}).get("limits", {}).values()
        for spec in pods(manifest).values():
            volumes += [
                each["emptyDir"]["sizeLimit"] for each in spec.get("volumes", ()) if "emptyDir" in each
            ]
    assert (len(limits), len(volumes)) == (3, 2), "a daemon for each file, and a volume where it has a size"
    assert min(map(size_bytes, limits)) >= pools + OWN_MEMORY_BYTES
    assert min(map(size_bytes, volumes)) >= pools


def test_the_page_has_the_same_numbers_and_places() -> None:
    for text in (str(DAEMON_ID), RUNTIME_DIR, POOL_DIR, RUNTIME_MODE, POOL_MODE):
        assert f"`{text}`" in PAGE, text
    for number in re.findall(r"\b4\d{4}\b", PAGE):
        assert int(number) == DAEMON_ID
    for name in re.findall(r"deploy/[\w./-]*\w", PAGE):
        assert (ROOT / name).exists(), name


def test_the_application_serves_more_hits(valkey_of_session: ValkeyServer, tmp_path: Path) -> None:
    """Over HTTP, until SIGTERM."""
    cache = tomllib.loads(TOML)["caches"]["catalog"]
    addresses = [f"{HOST}:{valkey_of_session.port}"]
    daemon = Daemon(
        tmp_path / "daemon",
        {"upstreams": {"default": {"addresses": addresses}}, "caches": {"catalog": cache}},
    )
    daemon.start()
    application = Application(tmp_path / "application.log", daemon, free_port())
    try:
        application.start()
        assert [look["outcome"] for look in application.printed()] == ["miss", "hit"]
        assert application.look()["outcome"] == "hit"
        daemon.kill()
        assert application.terminate() == 0, application.log_text()
    finally:
        application.kill()
        daemon.discard()
