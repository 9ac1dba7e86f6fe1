"""The database server dies between staging and publishing: unlogged staging is empty afterwards, and is read again."""

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from hub.database import embedded
from hub.flows import sync
from tests.flows.conftest import Town
from tests.recovery.conftest import Driver, told
from tests.recovery.days import broken
from tests.recovery.test_kills import SECOND, prepared

pytestmark = pytest.mark.xdist_group("recovery")


def kill_the_server() -> None:
    pid = embedded.status().pid
    assert pid is not None
    children = psutil.Process(pid).children()
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=30)
    while embedded.status().running:
        time.sleep(0.05)
    embedded.up()


@pytest.mark.parametrize("scenario", ["a first load", "a change", "an increment"])
def test_a_batch_that_the_server_lost_is_read_again(fresh: Callable[[str], Town], driver: Driver, scenario: str) -> None:
    town = prepared(fresh, driver, scenario)
    assert driver.run("sync", "register").code == 0
    expected = told(town)
    town = prepared(fresh, driver, scenario)
    batch = int(driver.run("stage", "register").said)

    kill_the_server()
    ended = driver.again("publish", batch)

    assert ended.code == 0, ended.said
    assert told(town) == expected
    # A first load is staged in durable tables, and lost nothing.
    state = "published" if scenario == "a first load" else "discarded"
    assert town.all(f"SELECT state FROM hub.batch WHERE id = {batch}") == [{"state": state}]


def test_a_held_batch_survives_the_server(fresh: Callable[[str], Town], driver: Driver) -> None:
    town = prepared(fresh, driver, "a change")
    town.fill("police", [*SECOND, *(broken(number) for number in range(20, 40))])
    assert driver.run("sync", "register").code == 1
    batch = town.all("SELECT id FROM hub.batch WHERE state = 'held'")[0]["id"]

    kill_the_server()
    published = sync.release(int(str(batch)), by="officer", reason="known")

    assert published.batch == batch
    assert town.all("SELECT birth_year FROM population.person ORDER BY 1")[0] == {"birth_year": 1961}
