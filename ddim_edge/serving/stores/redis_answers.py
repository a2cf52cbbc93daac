"""The store of answers in Redis or Valkey."""

from typing import TYPE_CHECKING, Any

from .answers import LEASE_S, KeptAnswer
from .redis_server import PREFIX, milliseconds, reaching

if TYPE_CHECKING:
    from redis.asyncio import Redis

_BEGIN = """
local found = redis.call('HMGET', KEYS[1], 'asked', 'contents')
if found[1] then return found end
redis.call('HSET', KEYS[1], 'asked', ARGV[1], 'maker', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
"""
_MINE = """
if redis.call('HGET', KEYS[1], 'maker') ~= ARGV[1] or redis.call('HEXISTS', KEYS[1], 'contents') == 1 then return end
"""
_RENEW = f"{_MINE} redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_FORGET = f"{_MINE} redis.call('DEL', KEYS[1])"
_END = f"{_MINE} redis.call('HSET', KEYS[1], 'contents', ARGV[2]) redis.call('PEXPIRE', KEYS[1], ARGV[3])"


class RedisAnswers:
    """An AnswerStore of hashes that expire ``keep_s`` seconds after the answer's end."""

    def __init__(self, client: "Redis", keep_s: float) -> None:
        self._client, self._keep_ms = client, milliseconds(keep_s)

    async def begin(self, key: str, asked: str, maker: str) -> KeptAnswer | None:
        """What is kept under ``key``; None if there was nothing: then ``maker`` has to make the answer."""
        found = await self._run(_BEGIN, key, asked, maker, milliseconds(LEASE_S))
        return None if found is None else KeptAnswer(found[0].decode(), found[1])

    async def renew(self, key: str, maker: str) -> None:
        """Renew the lease of an answer that is being made."""
        await self._run(_RENEW, key, maker, milliseconds(LEASE_S))

    async def end(self, key: str, maker: str, contents: bytes | None) -> None:
        """Keep an answer that ``maker`` has made; None to forget the request."""
        if contents is None:
            await self._run(_FORGET, key, maker)
        else:
            await self._run(_END, key, maker, contents, self._keep_ms)

    async def _run(self, script: str, key: str, *arguments: str | bytes | int) -> Any:
        """Run a script, which Redis does as one step."""
        with reaching():
            return await self._client.eval(script, 1, f"{PREFIX}answer:{key}", *arguments)
