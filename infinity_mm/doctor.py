"""What this machine can do, and what to install for what it cannot."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Literal

from infinity_mm.engine import Engine
from infinity_mm.errors import EngineError, InfinityMMError, ModelError
from infinity_mm.frozen import Frozen
from infinity_mm.pipeline.required import check_synthesis
from infinity_mm.recipe import Recipe
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.select import local_gpus, resolve_engine
from infinity_mm.synth.models.describing import describe
from infinity_mm.synth.params import models_of


class Condition(Frozen):
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "missing", "problem"]
    detail: str


def examine(recipe: Recipe | None = None) -> list[Condition]:
    """Look at everything a run may need, and at the models of a recipe; starts and stops an embedded Ray node."""
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    found = [
        Condition(
            what="python",
            state="ok" if supported else "problem",
            detail=f"{platform.python_version()}{'' if supported else '; 3.11 or 3.12 is supported'}",
        ),
        _memory(),
        _disk(),
        _ray(),
        _gpus(),
        _engine(),
    ]
    extras = (("webdataset", "reads WebDataset exports back"), ("datasets", "reads Parquet exports back"),
              ("openai", "talks to model endpoints"))  # fmt: skip
    return found + [_package(name, use) for name, use in extras] + list(_models(recipe))


def _models(recipe: Recipe | None) -> Iterator[Condition]:
    """Yield what `infinity-mm plan` tells of the models, one that cannot run as a problem."""
    if recipe is None or recipe.synth is None:
        return
    problem = None
    try:
        check_synthesis(recipe.synth)
    except InfinityMMError as error:
        problem = str(error)
    for spec in models_of(recipe.synth):
        short = spec.gpus > local_gpus() and spec.base_url is None
        state: Literal["ok", "problem"] = "problem" if short else "ok"
        yield Condition(what="model", state=state, detail=f"{spec.name}: {describe(spec)}")
    if problem is not None:
        yield Condition(what="recipe", state="problem", detail=problem)


def _package(name: str, use: str) -> Condition:
    try:
        return Condition(what=name, state="ok", detail=f"{metadata.version(name)}: {use}")
    except metadata.PackageNotFoundError:
        return Condition(what=name, state="missing", detail=f"{use}; pip install 'infinity-mm[export,openai]'")


def _memory() -> Condition:
    pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = pages * size / 2**30
    enough = free >= 4
    detail = f"{free:.1f} GiB free, {os.cpu_count()} CPUs{'' if enough else '; 4 GiB or more is advised'}"
    return Condition(what="memory", state="ok" if enough else "problem", detail=detail)


def _disk() -> Condition:
    free = shutil.disk_usage(os.getcwd()).free / 2**30
    return Condition(what="disk", state="ok" if free >= 5 else "problem", detail=f"{free:.1f} GiB free here")


def _probe(task: int) -> int:
    return task


def _ray() -> Condition:
    try:
        with Engine() as engine:
            list(engine.map("doctor", _probe, [0]))
            return Condition(
                what="ray", state="ok", detail=f"{metadata.version('ray')}: ran a task on {engine.cpus} CPUs"
            )
    except EngineError as error:
        return Condition(what="ray", state="problem", detail=str(error))


def _gpus() -> Condition:
    count = local_gpus()
    return Condition(what="gpu", state="ok" if count else "missing", detail=f"{count} NVIDIA GPUs visible")


def _engine() -> Condition:
    try:
        engine = resolve_engine(ModelSpec())
    except ModelError as error:
        return Condition(what="model engine", state="missing", detail=str(error))
    return Condition(what="model engine", state="ok", detail=f"auto takes {engine}")
