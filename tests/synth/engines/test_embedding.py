"""The embedding model behind the seam, on a checkpoint whose words have known meanings."""

import json
from pathlib import Path

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec, Request
from infinity_mm.synth.engines.select import lasting_comparer
from infinity_mm.synth.params import SemanticParams
from infinity_mm.synth.semantic import pair_text
from tests.embedder import build_embedder
from tests.synth.engines.conftest import need


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("torch", "transformers")
    return build_embedder(tmp_path_factory.mktemp("embedder"))


def asked(*pairs: tuple[str, str]) -> list[Request]:
    return [Request(key=str(number), prompt=pair_text(*pair)) for number, pair in enumerate(pairs)]


def test_the_reply_is_the_cosine_of_two_texts(folder: Path) -> None:
    params = SemanticParams(by="embedding", embedding={"name": str(folder)})
    chat = lasting_comparer(params)
    assert chat is not None
    pairs = [("car", "automobile"), ("red car", "crimson automobile"), ("red", "blue"), ("red car", "blue car")]
    replies = chat(asked(*pairs))
    assert [reply.text for reply in replies] == ["1.0000", "1.0000", "0.0000", "0.5000"]
    assert [reply.prompt_tokens for reply in replies] == [2, 4, 2, 4]
    assert [chat(asked(pair))[0].text for pair in pairs] == [reply.text for reply in replies]
    assert len(chat.info.revision) == 16


def test_what_cannot_be_embedded_is_no_similarity(folder: Path) -> None:
    chat = lasting_comparer(SemanticParams(by="embedding", embedding={"name": str(folder), "max_tokens": 8}))
    assert chat is not None
    long, empty, broken = chat([*asked(("car " * 9, "car"), ("", "car")), Request(key="x", prompt="no pair")])
    assert (long.text, long.error) == (None, "prompt_too_long")
    assert (empty.text, empty.error) == (None, "engine_error")
    assert (broken.text, broken.error) == (None, "engine_error")


def test_a_model_that_pools_otherwise_or_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    from infinity_mm.synth.engines.embedding import EmbeddingChat

    other = build_embedder(tmp_path / "cls")
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(ModelError, match="does not pool by the mean"):
        EmbeddingChat(ModelSpec(name=str(other)))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="sentence-embedding model"):
        EmbeddingChat(ModelSpec(name=str(tmp_path / "none")))
    closed = EmbeddingChat(ModelSpec(name=str(folder)))
    closed.close()
    with pytest.raises(ModelError, match="closed"):
        closed([])


def test_nobody_is_loaded_where_the_writer_compares() -> None:
    assert lasting_comparer(None) is None
    assert lasting_comparer(SemanticParams()) is None


def test_weights_cut_short_are_named(tmp_path: Path) -> None:
    from infinity_mm.synth.engines.embedding import EmbeddingChat

    cut = build_embedder(tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="SafetensorError"):
        EmbeddingChat(ModelSpec(name=str(cut)))
