"""A source is read by as many as it allows, whoever starts them."""

import pytest

from hub.errors import Unavailable
from hub.flows.locks import job_lock, reader_slot


@pytest.fixture(autouse=True)
def _database(hub_database):
    pass


def test_one_more_than_allowed_waits_and_is_put_off():
    with reader_slot("register", 2), reader_slot("register", 2):
        with pytest.raises(Unavailable, match="by 2 at the same time"), reader_slot("register", 2, wait=0.2):
            pass
        with reader_slot("another", 1):
            pass


def test_a_slot_is_free_again_when_its_reader_ends():
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), reader_slot("register", 1, wait=0):
            raise ZeroDivisionError


def test_who_waits_gets_the_slot_when_it_is_free():
    import threading

    free = threading.Event()

    def reading():
        with reader_slot("register", 1):
            started.set()
            free.wait(5)

    started = threading.Event()
    other = threading.Thread(target=reading)
    other.start()
    started.wait(5)
    threading.Timer(0.3, free.set).start()
    with reader_slot("register", 1, wait=5):
        assert free.is_set()
    other.join()


def test_the_lock_of_a_job_is_free_the_moment_it_ends():
    for _ in range(20):
        with job_lock("register"):
            pass
