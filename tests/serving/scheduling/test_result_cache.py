"""The cache of results: its size, and what is dropped."""

from ddim_edge.generation.requests.step_cache import ImageCalls
from ddim_edge.serving.scheduling.result_cache import CachedImage, ResultCache


def image(size: int) -> CachedImage:
    return CachedImage(b"x" * size, None, ImageCalls(1, 0))


def test_the_least_recently_used_is_dropped() -> None:
    cache = ResultCache(10)
    for key in "abc":
        cache.add(key, image(3))
    assert cache.find(["a"]) == [image(3)]
    cache.add("d", image(4))
    assert cache.bytes == 10
    assert cache.find(["a", "c", "d"]) == [image(3), image(3), image(4)]
    assert cache.find(["a", "b"]) is None
    cache.add("e", image(10))
    assert (cache.bytes, cache.find(["e"]), cache.find(["d"])) == (10, [image(10)], None)


def test_one_that_is_larger_than_the_cache_and_one_that_is_there() -> None:
    cache = ResultCache(10)
    cache.add("a", image(3))
    cache.add("b", image(11))
    cache.add("a", image(3))
    assert (cache.bytes, cache.find(["b"]), cache.find(["a"])) == (3, None, [image(3)])
