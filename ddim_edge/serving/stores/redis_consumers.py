"""Removes the names of processes that have ended from a consumer group of Redis."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

IDLE_S = 60.0
"""Seconds without any command, after which a consumer that holds nothing is removed. A living one is never so long
without one, and is there again with its next command."""
# One script: between a look at the pending entries and the removal, an entry could come, and would be lost with it.
_REMOVE = """
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
  end
end
"""


async def remove_idle_consumers(client: "Redis", stream: str, group: str) -> None:
    """Remove the consumers that hold no entry and have done nothing for IDLE_S."""
    script: Any = client.register_script(_REMOVE)
    await script(keys=[stream], args=[group, round(IDLE_S * 1000)])
