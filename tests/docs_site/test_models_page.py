"""docs/models.md is made from the record that the tests of the families keep."""

from docs_site.models import PAGE, page, read_record
from tests.pipelines.conftest import TITLES


def test_the_page_is_the_record() -> None:
    """``python -m docs_site.models`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_family_says_what_was_compared_and_what_was_not() -> None:
    for name, family in read_record().items():
        assert family.keys() == {"pipeline", "compared", "within", "untried"}, name
        assert all(family.values()), name
    assert set(TITLES.values()) <= read_record().keys()
