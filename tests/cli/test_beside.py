"""Writing happens beside the network: in order, with bounded memory, and its errors are raised."""

import threading

import pytest

from ddim_edge.cli.beside import Beside


def test_work_is_done_in_order_in_another_thread() -> None:
    beside, seen = Beside(), list[tuple[int, bool]]()
    for number in range(20):
        beside.do(lambda n: seen.append((n, threading.current_thread() is threading.main_thread())), number)
    beside.wait()
    assert seen == [(number, False) for number in range(20)]


def test_no_more_than_two_pieces_are_pending() -> None:
    beside, may_go_on, third = Beside(), threading.Event(), threading.Event()

    def more() -> None:
        for _ in range(3):
            beside.do(may_go_on.wait)
        third.set()

    thread = threading.Thread(target=more)
    thread.start()
    assert not third.wait(0.1)  # it cannot be taken while two wait for the event
    may_go_on.set()
    thread.join()
    assert third.is_set()


def _fail() -> None:
    raise OSError("the disk is full")


def test_wait_raises_an_error() -> None:
    beside = Beside()
    beside.do(_fail)
    with pytest.raises(OSError, match="the disk is full"):
        beside.wait()


def test_an_error_ends_the_work_that_follows() -> None:
    beside = Beside()

    def all_work() -> None:
        for _ in range(3):
            beside.do(_fail)

    with pytest.raises(OSError, match="the disk is full"):
        all_work()
