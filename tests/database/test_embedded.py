"""The embedded server: private, with passwords, one of it, and hard to kill for good."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from hub.database import embedded
from hub.database.engine import adbc, engine, url
from hub.database.passwords import password
from hub.database.place import socket_folder
from hub.database.roles import Role
from hub.errors import Mistake, Refused, Unavailable
from hub.settings import settings


def _select_one() -> int:
    with engine(Role.READER).connect() as connection:
        return int(connection.exec_driver_sql("SELECT 1").scalar_one())


def test_a_right_password_is_let_in(hub_database: Path) -> None:
    assert _select_one() == 1


def test_a_wrong_password_is_refused(hub_database: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=str(socket_folder(hub_database)), user="hub_reader", dbname="hub", password="wrong")


def test_no_password_is_refused_even_to_the_administrator(hub_database: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(socket_folder(hub_database)), user="postgres", dbname="postgres")


def test_the_socket_and_the_data_are_closed_to_others(hub_database: Path) -> None:
    status = embedded.status()
    for folder in (status.socket, status.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_listens_on_the_network(hub_database: Path) -> None:
    with engine(Role.READER).connect() as connection:
        assert connection.exec_driver_sql("SHOW listen_addresses").scalar_one() == ""


def test_password_files_are_readable_by_the_owner_alone(hub_database: Path) -> None:
    for role in Role:
        assert stat.S_IMODE((settings().secrets / role).stat().st_mode) == 0o600


def test_a_password_file_that_others_can_read_is_refused(hub_database: Path) -> None:
    file = settings().secrets / "careless"
    file.write_text("x")
    file.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        password("careless")


def test_starting_twice_is_starting_once(hub_database: Path) -> None:
    assert embedded.up().pid == embedded.status().pid


def test_two_callers_at_once_get_one_server(state: Path) -> None:
    command = [sys.executable, "-c", "from hub.database import embedded; print(embedded.up().pid)"]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {int(caller.communicate(timeout=60)[0]) for caller in callers}
    assert pids == {embedded.status().pid}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for the server")
def test_processes_that_need_the_system_user_at_once_agree_on_its_number() -> None:
    name = f"hub-test-{os.getpid()}"
    code = f"from hub.database import place; place._SYSTEM_USER = {name!r}; print('ready', flush=True); input(); print(place._system_user().pw_uid)"
    callers = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        assert [caller.stdout.readline() for caller in callers] == ["ready\n"] * 4
        for caller in callers:
            caller.stdin.write("now\n")
            caller.stdin.flush()
        numbers = {int(caller.communicate(timeout=60)[0]) for caller in callers}
        assert numbers == {pwd.getpwnam(name).pw_uid}
    finally:
        subprocess.run(["userdel", name], check=True)


def test_the_server_outlives_its_caller_and_recovers_when_killed(state: Path) -> None:
    subprocess.run([sys.executable, "-c", "from hub.database import embedded; embedded.up()"], check=True)
    with engine(Role.OWNER).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept AS SELECT 7 AS number")
    first = embedded.status().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while embedded.status().running:
        time.sleep(0.01)
    with pytest.raises(Unavailable, match="hub db up"):
        _select_one()

    second = embedded.up().pid

    assert second not in {None, first}
    with engine(Role.OWNER).connect() as connection:
        assert connection.exec_driver_sql("SELECT number FROM kept").scalar_one() == 7


def test_a_lock_file_whose_number_another_program_took_is_no_obstacle(state: Path) -> None:
    embedded.up()
    lock = state / "postgres" / "data" / "postmaster.pid"
    left_over = lock.read_text()
    embedded.down()
    lock.write_text(left_over.replace(left_over.split("\n")[0], str(os.getpid()), 1))
    shutil.chown(lock, (state / "postgres").stat().st_uid)

    assert not embedded.status().running
    embedded.up()

    assert _select_one() == 1


def test_an_interrupted_initialisation_is_started_over(state: Path) -> None:
    half_made = state / "postgres" / "data" / "base"
    half_made.mkdir(parents=True)
    assert embedded.up().running


def test_a_state_folder_with_a_very_long_path_gets_a_short_private_socket(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    long = state / ("a" * 60) / ("b" * 60)
    monkeypatch.setenv("HUB_STATE", str(long))
    settings.cache_clear()
    try:
        socket = embedded.up().socket
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert _select_one() == 1
    finally:
        embedded.down(at_once=True)
        shutil.rmtree(socket)


def test_a_stopped_server_is_named_with_the_remedy(state: Path) -> None:
    embedded.up()
    embedded.down()
    with pytest.raises(Unavailable, match="hub db up"):
        adbc(Role.WRITER)


def test_a_login_with_a_wrong_password_is_a_mistake_that_does_not_repeat_it(state: Path) -> None:
    embedded.up()
    (settings().secrets / "hub_reader").write_text("not-the-one")
    for connect in (_select_one, lambda: adbc(Role.READER)):
        with pytest.raises(Mistake, match="hub_reader") as caught:
            connect()
        assert "not-the-one" not in str(caught.value)


def test_a_url_of_another_server_keeps_its_options_and_takes_the_roles_login(monkeypatch: pytest.MonkeyPatch, hub_database: Path) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub_owner@db.city.example:5433/hub?sslmode=verify-full")
    settings.cache_clear()
    try:
        target = url(Role.AIRFLOW)
    finally:
        monkeypatch.delenv("HUB_DATABASE_URL")
        settings.cache_clear()
    assert (target.username, target.host, target.port, target.database) == ("airflow", "db.city.example", 5433, "airflow")
    assert target.query == {"sslmode": "verify-full"}
    assert target.password == password("airflow")


def test_values_do_not_reach_the_servers_log(hub_database: Path) -> None:
    canary = "110101199003078531x"
    with pytest.raises(psycopg.Error), psycopg.connect(_conninfo(Role.WRITER)) as connection:
        connection.execute("SELECT %s::text::date", [canary])
    with pytest.raises(psycopg.Error), psycopg.connect(_conninfo(Role.WRITER)) as connection:
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'value {canary}' USING DETAIL = '{canary}'; END $$")
    logs = b"".join(file.read_bytes() for file in (hub_database / "logs" / "postgres").iterdir())
    assert b"ready to accept connections" in logs
    assert canary.encode() not in logs


def _conninfo(role: Role) -> str:
    return url(role).set(drivername="postgresql").render_as_string(hide_password=False)
