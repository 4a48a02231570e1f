"""The files of deploy/, read as an engine reads them, and their containers made of namespaces: `support.container`.

What a file says about users, groups, mounts, volumes, capabilities, commands and the root file system is done as it
says. Images are replaced by this checkout; the network, of which such a container has none, by a socket in /server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from support.contained_daemon import SERVER_DIR
from support.container import Box
from support.process import ROOT, ChildProcess, child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
CONFIGURATION = DEPLOY / "glidecached.toml"
PROGRAMS_DIR = "/opt/programs"
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def size_bytes(text: str) -> int:
    """`512m` or `512Mi` in bytes."""
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def documents(manifest: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The resources of a manifest, all or of one kind."""
    found = [each for each in yaml.safe_load_all(manifest.read_text()) if each]
    return [each for each in found if kind in (None, each["kind"])]


def pods(manifest: Path) -> dict[str, dict[str, Any]]:
    """The specifications of its pods, by the names of their workloads."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in documents(manifest)
        if "template" in each.get("spec", {})
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """The properties that a stage of the Dockerfile gives to its containers."""

    user: str
    entrypoint: list[str]
    command: list[str]
    healthcheck: list[str]
    instructions: list[tuple[str, str]]


def image(name: str) -> Image:
    """The image `glidecached` or `glidecached-application`, by its stage of the Dockerfile."""
    stage = "application" if name.endswith("-application") else "daemon"
    instructions = stages()[stage]
    last = dict(instructions)
    return Image(
        user=last["USER"],
        entrypoint=json.loads(last["ENTRYPOINT"]),
        command=json.loads(last.get("CMD", "[]")),
        healthcheck=json.loads(last["HEALTHCHECK"].partition(" CMD ")[2]) if "HEALTHCHECK" in last else [],
        instructions=instructions,
    )


def stages() -> dict[str, list[tuple[str, str]]]:
    """The Dockerfile's stages by their names: instructions, each with what follows it."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found[rest.rpartition(" AS ")[2]] = []
        list(found.values())[-1].append((word, re.sub(r"\s+", " ", rest)))
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contained:
    """One container of a file: the box, and what runs in it."""

    box: Box
    command: list[str]

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with these arguments behind its own."""
        return _run(self.box.command([*self.command, *arguments]), timeout_s)

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run another command in such a container, as a probe is."""
        return _run(self.box.command(command), 60)


class ContainedService(ChildProcess):
    """A container that stays."""

    def __init__(self, log_path: Path, contained: Contained) -> None:
        super().__init__(log_path)
        self.contained = contained

    def start(self) -> None:
        self._spawn(self.contained.box.command(self.contained.command), PATH=_path())


class Deployment:
    """The volumes and containers of one file. `address`: the server's in its configuration."""

    def __init__(self, server_dir: Path) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="glidecached-deploy-"))
        self._place.chmod(0o755)
        self._mounted: list[Path] = []
        self.directories: dict[str, Path] = {}
        """Of its volumes, by their names."""
        self._common = {f"{SERVER_DIR}:ro": str(server_dir), "/app:ro": str(DEPLOY), **self._programs()}

    def compose_service(self, name: str) -> Contained:
        """A service of compose.yaml."""
        compose = yaml.safe_load(COMPOSE.read_text())
        service = compose["services"][name]
        binds = dict(self._common)
        for mount in service["volumes"]:
            suffix = ":ro" if mount.get("read_only") else ""
            if mount["type"] == "bind":
                source = self._configuration((COMPOSE.parent / mount["source"]).read_text())
                binds[f"{Path(mount['target']).parent}{suffix}"] = str(source)
                continue
            options = compose["volumes"][mount["source"]]["driver_opts"]["o"]
            binds[f"{mount['target']}{suffix}"] = str(self._tmpfs(mount["source"], options))
        own = image(service["image"])
        assert own.user == service["user"], "compose names the image's user once more"
        uid, gid = map(int, service["user"].split(":"))
        groups = tuple(map(int, service.get("group_add", ())))
        box = Box(uid=uid, gid=gid, groups=groups, binds=binds, read_only=service["read_only"])
        return Contained(box=box, command=[*own.entrypoint, *own.command])

    def pod_container(self, manifest: Path, pod: str, name: str) -> Contained:
        """A container of a pod, an init container too."""
        spec = pods(manifest)[pod]
        container = next(
            each for each in (*spec.get("initContainers", ()), *spec["containers"]) if each["name"] == name
        )
        binds = dict(self._common)
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in container["volumeMounts"]:
            source = self._volume(manifest, volumes[mount["name"]], spec["securityContext"].get("fsGroup"))
            if "subPath" in mount:
                source /= mount["subPath"]
                assert source.is_dir(), f"{mount['subPath']} of {mount['name']} is missing when {name} starts"
            binds[mount["mountPath"] + (":ro" if mount.get("readOnly") else "")] = str(source)
        own = image(container["image"])
        security = {**spec["securityContext"], **container["securityContext"]}
        groups = (*security.get("supplementalGroups", ()), *filter(None, (security.get("fsGroup"),)))
        box = Box(
            uid=security["runAsUser"],
            gid=security["runAsGroup"],
            groups=groups,
            binds=binds,
            read_only=security["readOnlyRootFilesystem"],
        )
        command = [*container.get("command", own.entrypoint), *container.get("args", own.command)]
        return Contained(box=box, command=[*_with_capabilities(security["capabilities"]), *command])

    def discard(self) -> None:
        """Remove the volumes."""
        for place in self._mounted:
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
        shutil.rmtree(self._place, ignore_errors=True)

    def _volume(self, manifest: Path, volume: dict[str, Any], fs_group: int | None) -> Path:
        name = volume["name"]
        if "configMap" in volume:
            (map_,) = documents(manifest, "ConfigMap")
            return self._configuration(map_["data"]["glidecached.toml"])
        if name in self.directories:
            return self.directories[name]
        if "hostPath" in volume:
            assert volume["hostPath"]["type"] == "DirectoryOrCreate", f"{name} is missing on the node"
            return self._tmpfs(name, "mode=0755")
        empty = volume["emptyDir"]
        assert empty["medium"] == "Memory"
        place = self._tmpfs(name, f"mode=0777,size={size_bytes(empty['sizeLimit'])}")
        if fs_group is not None:
            os.chown(place, 0, fs_group)
            place.chmod(0o2777)
        return place

    def _tmpfs(self, name: str, options: str) -> Path:
        if name not in self.directories:
            place = self._place / name
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
            self._mounted.append(place)
            self.directories[name] = place
        return self.directories[name]

    def _configuration(self, text: str) -> Path:
        """A directory with the configuration, in which the server's address is the socket's."""
        place = self._place / "configuration"
        place.mkdir(exist_ok=True)
        changed = text.replace('"valkey:6379"', f'"unix:{SERVER_DIR}/valkey.sock"')
        assert changed != text
        (place / "glidecached.toml").write_text(changed)
        return place

    def _programs(self) -> dict[str, str]:
        """The PATH of the images."""
        place = self._place / "programs"
        place.mkdir()
        for name, words in {
            "python": [sys.executable],
            "glidecached": [sys.executable, "-m", "glidecached"],
            "glidecache": [sys.executable, "-c", "from glidecached.cli.operator import main; main()"],
        }.items():
            script = place / name
            quoted = " ".join(f"'{word}'" for word in words)
            script.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
            script.chmod(0o755)
        return {f"{PROGRAMS_DIR}:ro": str(place)}


@contextlib.contextmanager
def deployment(server_dir: Path) -> Iterator[Deployment]:
    """A deployment whose volumes are removed at the end."""
    made = Deployment(server_dir)
    try:
        yield made
    finally:
        made.discard()


def _with_capabilities(capabilities: dict[str, list[str]]) -> list[str]:
    """The prefix that leaves root what the file does; other users have none anyway."""
    assert capabilities["drop"] == ["ALL"]
    added = "".join(f",+{name.lower()}" for name in capabilities.get("add", ()))
    return ["setpriv", "--inh-caps=-all", f"--bounding-set=-all{added}", "--"] if added else []


def _path() -> str:
    return f"{PROGRAMS_DIR}:/usr/bin:/bin"


def _run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=child_environment(PATH=_path()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
