"""A changed file, read for a reload: all of it checked, and pools never given to another identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from glidecached.config.diff import Source
from glidecached.config.load import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

UPSTREAM = '[upstreams.default]\naddresses = ["h:1"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    # Closed to others, as directories of secrets have to be.
    tmp_path.chmod(0o700)
    return tmp_path / "glidecached.toml"


def test_a_new_password_is_taken_and_the_identity_stays(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("one\n")
    file.write_text(f'{UPSTREAM}username = "app"\npassword_file = "{secret}"\n')
    source = Source(file)
    before = source.load()
    secret.write_text("two\n")
    plan, after = source.prepare(before)
    assert after.upstreams["default"].target.credentials.password == "two"
    assert after.upstreams["default"].target.identity == before.upstreams["default"].target.identity
    assert plan.reread == ["[upstreams.default] the files of its credentials have new contents"]
    assert "two" not in str(plan)


def test_what_is_kept_is_put_back_and_told(file: Path) -> None:
    file.write_text(f"{UPSTREAM}request_timeout_ms = 10\n[daemon]\nmax_sessions = 5\ngrace_ms = 100\n")
    source = Source(file)
    before = source.load()
    file.write_text(
        '[upstreams.default]\naddresses = ["other:2"]\nrequest_timeout_ms = 20\n'
        "[daemon]\nmax_sessions = 6\ngrace_ms = 200\n"
    )
    plan, after = source.prepare(before)
    assert after.upstreams["default"].target == before.upstreams["default"].target
    assert after.upstreams["default"].request_timeout_ms == 20
    assert (after.daemon.max_sessions, after.daemon.grace_ms) == (6, 100)
    assert {each.key for each in plan.kept} == {"addresses", "grace_ms"}
    again, same = source.prepare(after)
    assert again.changed == []
    assert {each.key for each in again.kept} == {"addresses", "grace_ms"}
    assert same == after


def test_other_authorities_are_another_identity_and_kept(file: Path, tmp_path: Path) -> None:
    authorities = [trustme.CA(), trustme.CA()]
    pem = tmp_path / "ca.pem"
    authorities[0].cert_pem.write_to_path(str(pem))
    file.write_text(f'{UPSTREAM}use_tls = true\ntls_ca_file = "{pem}"\n')
    source = Source(file)
    before = source.load()
    authorities[1].cert_pem.write_to_path(str(pem))
    plan, after = source.prepare(before)
    assert after.upstreams["default"].target == before.upstreams["default"].target
    assert [each.key for each in plan.kept] == ["identity"]
    assert plan.reread == []


def test_a_new_certificate_is_taken_with_a_user_and_kept_without(file: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    for number in (1, 2):
        issued = authority.issue_cert(f"client{number}.example")
        issued.private_key_pem.write_to_path(str(tmp_path / f"key{number}"))
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"cert{number}"))
    (tmp_path / "password").write_text("x")

    def text(number: int, user: str) -> str:
        files = f'tls_cert_file = "{tmp_path}/cert{number}"\ntls_key_file = "{tmp_path}/key{number}"\n'
        return f"{UPSTREAM}use_tls = true\n{files}{user}"

    for user, taken in (("", False), (f'username = "a"\npassword_file = "{tmp_path}/password"\n', True)):
        file.write_text(text(1, user))
        source = Source(file)
        before = source.load()
        file.write_text(text(2, user))
        plan, after = source.prepare(before)
        assert (after.upstreams["default"].target != before.upstreams["default"].target) is taken
        told = plan.changed if taken else plan.kept
        assert {each.key for each in told} == {"tls_cert_file", "tls_key_file"}
        assert (after.form.upstreams["default"].tls_cert_file == f"{tmp_path}/cert2") is taken


def test_a_fault_also_in_what_would_be_kept_refuses_the_file(file: Path) -> None:
    file.write_text(UPSTREAM)
    source = Source(file)
    before = source.load()
    file.write_text(f'{UPSTREAM}username = "app"\n[daemon]\nadmin_users = ["nobody-of-this-name"]\n')
    with pytest.raises(ConfigError) as raised:
        source.prepare(before)
    assert len(raised.value.faults) == 2
    assert all(fault.startswith(f"{file}: ") for fault in raised.value.faults)


def test_what_does_not_go_with_what_is_kept_refuses_the_file(file: Path) -> None:
    """A bound on users that only the new database's could have; here: a cache whose upstream is not there."""
    file.write_text(UPSTREAM)
    source = Source(file)
    before = source.load()
    file.write_text(UPSTREAM + '[caches.c]\nupstream = "other"\nmax_cache_kb = 1\nentry_ttl_ms = 0\n')
    with pytest.raises(ConfigError, match="no such upstream"):
        source.prepare(before)


def test_the_command_lines_log_level_goes_before_the_files(file: Path) -> None:
    file.write_text(UPSTREAM)
    source = Source(file, log_level="ERROR")
    before = source.load()
    file.write_text(f'{UPSTREAM}[daemon]\nlog_level = "debug"\n')
    plan, after = source.prepare(before)
    assert plan.empty
    assert after.daemon.log_level == "error"
