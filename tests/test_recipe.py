"""Recipes that mean nothing: found before any work, naming file, key and what would be right."""

import pytest
import yaml

from infinity_mm.errors import RecipeError
from infinity_mm.recipe import load_recipe, recipe_fingerprint
from infinity_mm.sources.options import options_of


def write(tmp_path, **keys):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "sources": [{"name": "gqa", "root": "."}]} | keys))
    return path


def image_filter(**limits):
    return [{"use": "image", "with": limits}]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"filters": image_filter(max_aspect=float("inf"))}, "filters.image.with.max_aspect"),
        ({"filters": image_filter(min_luma_std=float("nan"))}, "filters.image.with.min_luma_std"),
        ({"filters": image_filter(max_drop=1.5)}, "filters.image.with.max_drop"),
        ({"filters": image_filter(min_side=50, max_side=49)}, "no picture passes min_side=50 and max_side=49"),
        ({"filters": [{"use": "text", "with": {"min_chars": 9, "max_chars": 8}}]}, "no text passes"),
        ({"sources": [{"name": "gqa", "root": ".", "priority": 1 << 31}]}, "sources.0.priority"),
        ({"sources": [{"name": "gqa", "root": "nowhere://x/y"}]}, "sources.gqa.root: cannot open nowhere://x/y"),
        (
            {"sources": [{"name": "gqa", "root": ".", "options": {"group_by_images": True}}]},
            "sources.gqa: source gqa has no option 'group_by_images'; did you mean 'group_by_image'",
        ),
        ({"sources": [{"name": "gqa", "root": ".", "options": {"answers": 1}}]}, "source gqa: answers: "),
        ({"sources": [{"name": "gqua", "root": "."}]}, "sources.gqua: no source 'gqua'; did you mean 'gqa'"),
        ({"sources": [{"name": "gqa", "root": ".", "options": ["x"]}]}, "sources.0.options: "),
        ({"synth": {"images": 1, "sources": ["gqaa"]}}, "synth.sources: no source 'gqaa' here; did you mean 'gqa'"),
    ],
)
def test_the_message_names_file_and_key(tmp_path, keys, said):
    path = write(tmp_path, **keys)
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert error.value.exit_status == 2


def test_options_of_a_source_are_set_by_the_recipe_and_from_outside(tmp_path):
    path = write(tmp_path, sources=[{"name": "gqa", "root": ".", "options": {"answers": "sentence"}}])
    use = load_recipe(path, ["sources.gqa.options.group_by_image=true"]).sources[0]
    assert use.options == {"answers": "sentence", "group_by_image": True}
    assert options_of(use.load()) == {
        "group_by_image": True,
        "prompt": "infimm",
        "joiner": "newline",
        "answers": "sentence",
    }
    plain = load_recipe(write(tmp_path))
    assert recipe_fingerprint(plain) != recipe_fingerprint(load_recipe(path, ["sources.gqa.options.answers=sentence"]))


def test_text_that_is_no_yaml_or_no_text_is_a_recipe_error(tmp_path):
    with pytest.raises(RecipeError, match="'\\[' is not YAML"):
        load_recipe(write(tmp_path), ["filters=["])
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="no text in UTF-8"):
        load_recipe(tmp_path / "r.yaml")
