"""A1111's prompt weights: cases worked by hand, and what must hold for any prompt."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.errors import ConfigError
from ddim_edge.text.weights import Span, apply_weights, parse_weights

_PLAIN = st.text(st.characters(exclude_characters="()[]\\", exclude_categories=["Cs"]))
_NUMBERS = st.integers(-200, 200).map(lambda hundredths: f"{hundredths / 100:.2f}")


@pytest.mark.parametrize(
    ("prompt", "spans"),
    [
        ("", [("", 1)]),
        ("a red cat", [("a red cat", 1)]),
        ("a (red) cat", [("a ", 1), ("red", 1.1), (" cat", 1)]),
        ("a ((red)) cat", [("a ", 1), ("red", 1.21), (" cat", 1)]),
        ("a [red] cat", [("a ", 1), ("red", 1 / 1.1), (" cat", 1)]),
        ("(cat:1.3)", [("cat", 1.3)]),
        ("(cat: 1.3 )", [("cat", 1.3)]),
        ("(cat:.5)", [("cat", 0.5)]),
        ("(cat:-0.5)", [("cat", -0.5)]),
        ("(cat:0)", [("cat", 0)]),
        ("(a:b:1.5)", [("a:b", 1.5)]),
        ("[cat:1.3]", [("cat:1.3", 1 / 1.1)]),
        ("(a (b:1.5) c:0.5)", [("a ", 0.5), ("b", 0.75), (" c", 0.5)]),
        ("[a (b) c]", [("a ", 1 / 1.1), ("b", 1), (" c", 1 / 1.1)]),
        ("(one)(two)", [("onetwo", 1.1)]),
        ("a () b", [("a  b", 1)]),
        # What is not closed reaches to the end, and what closes nothing is text.
        ("a (red cat", [("a ", 1), ("red cat", 1.1)]),
        ("a [red cat", [("a ", 1), ("red cat", 1 / 1.1)]),
        ("a red) cat]", [("a red) cat]", 1)]),
        ("cat:1.3)", [("cat:1.3)", 1)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)]),
        # The characters themselves.
        (r"smile \(-:\)", [("smile (-:)", 1)]),
        (r"\[a\] (b\) c:2)", [("[a] ", 1), ("b) c", 2)]),
        (r"C:\\x \n", [(r"C:\x n", 1)]),
        ("time: 10:30", [("time: 10:30", 1)]),
        ("(time 10:30)", [("time 10", 30)]),
    ],
)
def test_worked_by_hand(prompt: str, spans: list[tuple[str, float]]) -> None:
    found = parse_weights(prompt)
    assert [span.text for span in found] == [text for text, _ in spans]
    assert [span.weight for span in found] == pytest.approx([weight for _, weight in spans])


def test_the_example_in_the_documentation_of_its_inventor() -> None:
    spans = parse_weights("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).")
    assert [span.text for span in spans] == ["a ", "house", " ", "on", " a ", "hill", ", sun, ", "sky", "."]
    assert [span.weight for span in spans] == pytest.approx([1, 1.573, 1.1, 1, 1.1, 0.55, 1.1, 1.4641, 1.1])


@given(_PLAIN)
def test_text_without_syntax_is_one_span_of_weight_1(text: str) -> None:
    assert parse_weights(text) == [Span(text, 1.0)]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_text_is_itself(text: str) -> None:
    escaped = "".join("\\" + character if character in "()[]\\" else character for character in text)
    assert parse_weights(escaped) == [Span(text, 1.0)]


@given(st.text("()[]:\\ab1. -", max_size=40))
def test_brackets_are_all_that_is_ever_lost(prompt: str) -> None:
    try:
        spans = parse_weights(prompt)
    except ConfigError:
        return
    read = iter(prompt)
    assert all(character in read for span in spans for character in span.text)
    assert all(first.weight != second.weight for first, second in pairwise(spans))


@given(st.lists(st.tuples(_PLAIN.filter(bool), _NUMBERS), min_size=1))
def test_text_reassembles_and_every_part_has_its_weight(parts: list[tuple[str, str]]) -> None:
    spans = parse_weights("".join(f"({text}:{number})" for text, number in parts))
    assert "".join(span.text for span in spans) == "".join(text for text, _ in parts)
    found = [span.weight for span in spans for _ in span.text]
    assert found == [float(number) for text, number in parts for _ in text]


@given(_PLAIN.filter(bool), st.integers(0, 40), st.integers(0, 40))
def test_nested_weights_multiply(text: str, round_ones: int, square_ones: int) -> None:
    spans = parse_weights("(" * round_ones + "[" * square_ones + text + "]" * square_ones + ")" * round_ones)
    assert [span.text for span in spans] == [text]
    assert spans[0].weight == pytest.approx(1.1 ** (round_ones - square_ones))


@pytest.mark.parametrize("number", ["1.2.3", ".", "..", "+.", "1..2"])
def test_a_weight_that_is_no_number_is_an_error(number: str) -> None:
    with pytest.raises(ConfigError, match=r"weight '.*' is not a number: write \(word:1\.3\), or"):
        parse_weights(f"a (cat:{number})")


@pytest.mark.parametrize(
    "prompt", ["(cat:1001)", "(cat:-2000)", "(" * 80 + "cat", f"(cat:{'9' * 400})", "(" * 20000 + "cat"]
)
def test_a_weight_beyond_all_use_is_an_error(prompt: str) -> None:
    with pytest.raises(ConfigError, match=r"gives 'cat' the weight .*: take one from -1000 to 1000"):
        parse_weights(prompt)


def test_weights_of_1_leave_the_embeddings_as_they_are() -> None:
    hidden = np.random.default_rng(0).normal(size=(77, 8)).astype(np.float32)
    assert apply_weights(hidden, [1.0] * 77) is hidden


def test_embeddings_are_scaled_and_their_mean_restored() -> None:
    hidden = np.array([[1, 3], [2, 2], [4, 0]], np.float32)  # mean 2
    scaled = apply_weights(hidden, [1, 2.5, 1])  # [[1, 3], [5, 5], [4, 0]]: mean 3
    np.testing.assert_allclose(scaled, np.array([[2, 6], [10, 10], [8, 0]]) / 3, rtol=1e-6)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("rounding", [0, 1e-7, -1e-7])
def test_a_mean_that_is_only_rounding_restores_nothing(rounding: float) -> None:
    hidden = np.array([[1, -1], [2, -2 + rounding]], np.float32)
    np.testing.assert_allclose(apply_weights(hidden, [1, 2]), [[1, -1], [4, -4]], rtol=1e-6)


@given(st.integers(0, 2**31), st.floats(0.125, 8))
def test_the_mean_stays(seed: int, weight: float) -> None:
    draw = np.random.default_rng(seed)
    hidden = draw.normal(0.5, 1, size=(6, 16)).astype(np.float32)
    scaled = apply_weights(hidden, [1, weight, 1, 1, weight, 1])
    np.testing.assert_allclose(scaled.mean(dtype=np.float64), hidden.mean(dtype=np.float64), rtol=1e-4)
    ratio = np.linalg.norm(scaled, axis=1) / np.linalg.norm(hidden, axis=1)
    np.testing.assert_allclose(ratio[1] / ratio[0], weight, rtol=1e-4)
