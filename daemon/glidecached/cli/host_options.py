"""`--install-units` and `--uninstall-units` of `glidecached`: the service of this host, from an installed wheel."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from glidecached.host.activation import enable, is_active, other_units, runs_this_host, why_not
from glidecached.host.host_command import places_from, uninstall
from glidecached.host.host_errors import HostError
from glidecached.host.installation import Installation
from glidecached.host.laying import files_of, lay_down
from glidecached.host.places import DEFAULT_PREFIX, SHELLS, Places
from glidecached.host.shipped_files import ShippedFiles

_CONFIGURATION = "systemd/glidecached.toml"
_COMPLETIONS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}

_OPTIONS = (
    click.Option(
        ["--install-units"],
        is_flag=True,
        help="Lay down units, configuration, manual pages and completions for this host, and exit.",
    ),
    click.Option(
        ["--uninstall-units"],
        is_flag=True,
        help="Remove what --install-units laid down, but a changed configuration, and exit.",
    ),
    click.Option(["--prefix"], metavar="DIR", help=f"Where both do so. Default: {DEFAULT_PREFIX}"),
    click.Option(
        ["--enable"], is_flag=True, help="With --install-units: make the service's user, enable and start it."
    ),
)
_NAMES = frozenset(option.name for option in _OPTIONS)


class HostCommand(click.Command):
    """The daemon's command, with the options that concern the host: with one of them it starts no daemon."""

    def __init__(self, name: str | None, *, params: list[click.Parameter], **settings: Any) -> None:
        super().__init__(name, params=[*params, *_OPTIONS], **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Do what the options ask for, or run the daemon."""
        chosen = {name: ctx.params.pop(name) for name in list(ctx.params) if name in _NAMES}
        self._check_combination(ctx, chosen)
        if not (chosen["install_units"] or chosen["uninstall_units"]):
            return super().invoke(ctx)
        try:
            places = places_from({**os.environ, "PREFIX": ""}, chosen["prefix"])
            if chosen["install_units"]:
                self._install(places, enables=chosen["enable"])
            else:
                for line in uninstall(places):
                    click.echo(line)
                click.echo(f"removed below {places.prefix}")
        except HostError as error:
            click.echo(f"glidecached: {error}", err=True)
            ctx.exit(1)
        return None

    def _check_combination(self, ctx: click.Context, chosen: dict[str, Any]) -> None:
        installs, uninstalls = chosen["install_units"], chosen["uninstall_units"]
        given = [
            option.opts[0]
            for option in self.params
            if ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
        ]
        if installs and uninstalls:
            message = "--install-units and --uninstall-units exclude each other"
        elif chosen["enable"] and not installs:
            message = "--enable is for --install-units"
        elif chosen["prefix"] is not None and not (installs or uninstalls):
            message = "--prefix is for --install-units and --uninstall-units"
        elif (installs or uninstalls) and (
            others := [opt for opt in given if opt[2:].replace("-", "_") not in _NAMES]
        ):
            message = f"{others[0]} is for a daemon, and --{'un' * uninstalls}install-units starts none"
        else:
            return
        raise click.UsageError(message, ctx)

    def _install(self, places: Places, *, enables: bool) -> None:
        if enables and (reason := "with DESTDIR nothing is enabled" if places.destdir else why_not()):
            message = f"--enable cannot be done: {reason}; without it, the files alone are laid down"
            raise HostError(message)
        installation = Installation.current()
        hindrance = next(installation.hindrances(places), None)
        if hindrance is not None:
            if not places.destdir:
                raise HostError(hindrance)
            click.echo(f"glidecached: warning: {hindrance}", err=True)
        shipped = ShippedFiles()
        files = files_of(shipped, installation, places, self._completions())
        lay_down(files, shipped.text(_CONFIGURATION).encode(), places)
        for remark in other_units(places):
            click.echo(f"glidecached: warning: {remark}", err=True)
        if places.destdir:
            return
        click.echo(f"laid down below {places.prefix} and {places.sysconfdir}")
        if enables:
            ran = is_active()
            enable()
            click.echo("glidecached.service is enabled and runs: glidecache ping")
            if ran:
                click.echo("it ran before: `systemctl restart glidecached` starts this version")
        elif not runs_this_host():
            click.echo("systemd does not run this host now: where it does, it finds the units")
        else:
            click.echo("now: systemd-sysusers && systemd-tmpfiles --create glidecached.conf &&")
            click.echo("systemctl daemon-reload && systemctl enable --now glidecached    (or --enable)")

    def _completions(self) -> dict[tuple[str, str], str]:
        """Return the script for each shell and command."""
        from glidecached.cli.operator import main as operator

        scripts = {}
        for name, command in (("glidecached", self), ("glidecache", operator)):
            for shell in SHELLS:
                made = _COMPLETIONS[shell](command, {}, name, f"_{name.upper()}_COMPLETE")
                # Not source(): it also asks the host's bash for its version.
                scripts[shell, name] = made.source_template % made.source_vars() + "\n"
        return scripts
