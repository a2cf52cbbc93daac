"""Answers to requests with an Idempotency-Key, in each store: one maker at a time, and what becomes of its answer."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ddim_edge.serving.stores.answers import LEASE_S, AnswerStore, KeptAnswer
from ddim_edge.serving.stores.memory import Limits, MemoryAnswers
from ddim_edge.serving.stores.redis_answers import RedisAnswers
from ddim_edge.serving.stores.redis_server import connect
from ddim_edge.serving.stores.sqlite_answers import SqliteAnswers
from ddim_edge.serving.stores.sqlite_file import SqliteFile

LIMITS = Limits(100.0, 2, 8)
Open = Callable[[], AnswerStore]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the store as one more process would; that in memory is one of this process."""
    match request.param:
        case "sqlite":
            return lambda: SqliteAnswers(SqliteFile(tmp_path / "store.db"), LIMITS)
        case "redis":
            address: str = request.getfixturevalue("redis_url")
            return lambda: RedisAnswers(connect(address), 100.0)
        case _:
            store = MemoryAnswers(LIMITS, lambda: 0.0)
            return lambda: store


def test_one_process_makes_an_answer_and_all_find_it(open_store: Open) -> None:
    async def ask() -> None:
        one, other = open_store(), open_store()
        begun = await asyncio.gather(*[each.begin("key", "asked", str(id(each))) for each in (one, other)])
        maker = (one, other)[begun.index(None)]
        assert [each for each in begun if each is not None] == [KeptAnswer("asked", None)]
        await maker.renew("key", str(id(maker)))
        await maker.end("key", str(id(maker)), b"\x00answer"[:8])
        for each in (one, other):
            assert await each.begin("key", "another", "m") == KeptAnswer("asked", b"\x00answer")

    asyncio.run(ask())


def test_what_is_forgotten_can_be_asked_again(open_store: Open) -> None:
    async def ask() -> None:
        one, other = open_store(), open_store()
        assert await one.begin("key", "asked", "a") is None
        await one.end("key", "a", None)
        assert await other.begin("key", "other", "b") is None
        assert await one.begin("key", "asked", "c") == KeptAnswer("other", None)

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_maker_that_dies_is_replaced_and_says_nothing_more(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def opened() -> AnswerStore:
        if kind == "sqlite":
            return SqliteAnswers(SqliteFile(tmp_path / "store.db", lambda: now[0]), LIMITS)
        return RedisAnswers(connect(request.getfixturevalue("redis_url")), 100.0)

    async def ask() -> None:
        dead, other = opened(), opened()
        assert await dead.begin("key", "asked", "dead") is None
        now[0] = LEASE_S - 1
        await dead.renew("key", "dead")
        now[0] = 2 * LEASE_S - 2
        assert await other.begin("key", "asked", "other") == KeptAnswer("asked", None)
        monkeypatch.setattr("ddim_edge.serving.stores.redis_answers.LEASE_S", 0.0)  # one millisecond
        await dead.renew("key", "dead")
        monkeypatch.undo()
        now[0] = 3 * LEASE_S
        async with asyncio.timeout(30):
            while await other.begin("key", "asked", "other") is not None:
                pass
        await dead.end("key", "dead", b"late")
        await dead.end("key", "dead", None)
        await other.renew("key", "other")
        await other.end("key", "other", b"answer")
        assert await dead.begin("key", "asked", "dead") == KeptAnswer("asked", b"answer")

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_only_so_many_are_kept(kind: str, tmp_path: Path) -> None:
    async def ask() -> None:
        file = SqliteFile(tmp_path / "store.db", lambda: 0.0)
        store = MemoryAnswers(LIMITS, lambda: 0.0) if kind == "memory" else SqliteAnswers(file, LIMITS)
        for key in "abc":
            assert await store.begin(key, "asked", "m") is None
            await store.end(key, "m", b"123")
        kept = [await store.begin(key, "asked", "m") for key in "abc"]
        assert [each is not None for each in kept] == [False, True, True]

    asyncio.run(ask())
