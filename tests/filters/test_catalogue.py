from __future__ import annotations

import pytest

from infinity_mm.errors import RecipeError
from infinity_mm.filters.catalogue import load, names


def test_every_filter_is_found_and_named_like_its_module() -> None:
    assert names() == ("image", "language", "structure", "text")
    assert tuple(load(name).NAME for name in names()) == names()


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("structur", "did you mean 'structure'"), ("base", "there are image, language"), ("os", "there are image")],
)
def test_an_unknown_name_is_refused_with_the_nearest(asked: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=hint):
        load(asked)
