"""The rules of the house, by reading the code: import arrows, one seam each, sizes, no catch-alls."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "infinity_mm"
FILES = sorted(PACKAGE.rglob("*.py"))
#: Package -> the modules that alone may import it.
SEAMS = {
    "ray": {"engine/__init__.py", "engine/cluster.py", "engine/crew.py"},
    "vllm": {"synth/engines/vllm_offline.py", "synth/serve.py"},
}
#: May not be imported when a module is: they take seconds, and `--help` must not.
HEAVY = {"torch", "transformers", "vllm", "datasets", "webdataset", "openai"}
#: Lower layers know nothing of the upper ones.
ARROWS = {
    "sources": ("infinity_mm.filters", "infinity_mm.dedup", "infinity_mm.synth", "infinity_mm.export"),
    "filters": ("infinity_mm.sources", "infinity_mm.dedup", "infinity_mm.synth", "infinity_mm.export"),
    "dedup": ("infinity_mm.sources", "infinity_mm.filters", "infinity_mm.synth", "infinity_mm.export"),
    "synth": ("infinity_mm.sources", "infinity_mm.filters", "infinity_mm.dedup", "infinity_mm.export"),
    "decontam": ("infinity_mm.filters", "infinity_mm.synth", "infinity_mm.export"),
    "export": ("infinity_mm.sources", "infinity_mm.filters", "infinity_mm.dedup", "infinity_mm.synth"),
}
UPPER = ("infinity_mm.pipeline", "infinity_mm.cli", "infinity_mm.engine", "infinity_mm.recipe")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.AST) -> list[tuple[str, bool]]:
    """Return (module, at top level) of every import."""
    top = set(map(id, getattr(tree, "body", [])))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in top))
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path):
    for module, top in imports(ast.parse(path.read_text())):
        root = module.split(".")[0]
        assert root not in SEAMS or name_of(path) in SEAMS[root], f"{module} has a seam of its own"
        assert not (top and root in HEAVY), f"import {module} inside the function that needs it"
        layer = name_of(path).split("/")[0]
        if layer in ARROWS:
            assert not module.startswith((*ARROWS[layer], *UPPER)), f"{layer} may not import {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sizes_and_handlers(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 400, "split the file"
    assert ast.get_docstring(tree), "say what the module is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} is longer than 50 lines"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, "bare except"
            assert getattr(node.type, "id", "") not in {"Exception", "BaseException"}, "catch-all except"
