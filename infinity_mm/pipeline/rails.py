"""Rails between stages: a run stops where a source loses more than its recipe allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from infinity_mm.errors import StageError
from infinity_mm.pipeline.ingest import IngestTask
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context
from infinity_mm.pipeline.screening import read_losses
from infinity_mm.recipe import SourceUse
from infinity_mm.store import Store


def watch_quarantine(context: Context, tasks: Sequence[IngestTask]) -> Callable[[IngestTask], None]:
    """Return a function that takes note of each finished split and stops the run as soon as a budget is spent.

    A budget is a share of all rows of a source, so what is lost already can only become more.
    """
    planned: Counter[str] = Counter()
    for task in tasks:
        planned[task.part.source] += task.rows
    uses = {use.name: use for use in context.recipe.sources}
    lost: Counter[str] = Counter()
    read: dict[str, list[IngestTask]] = {}

    def watch(task: IngestTask) -> None:
        source = task.part.source
        read.setdefault(source, []).append(task)
        lost[source] += context.store.rows(task.part.quarantine)
        if lost[source] > uses[source].max_quarantined * planned[source]:
            _refuse(context.store, uses[source], read[source], lost[source], planned[source])

    return watch


def _refuse(store: Store, use: SourceUse, read: Sequence[IngestTask], lost: int, planned: int) -> None:
    reasons: Counter[str] = Counter()
    for task in read:
        reasons.update(store.read(task.part.quarantine, ["reason"]).column("reason").to_pylist())
    most = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(3))
    so_far = sum(task.rows for task in read)
    when = "" if so_far == planned else f" (after the first {so_far})"
    raise StageError(
        f"source {use.name!r}: {lost} of {planned} rows are in quarantine{when} ({most}), more than "
        f"sources.{use.name}.max_quarantined={use.max_quarantined}. Look at the work folder's "
        f"quarantine/{use.name}/, mend the files or raise that key, and run again"
    )


def check_drops(context: Context, screens: Mapping[Part, str]) -> None:
    """Stop the run where a filter dropped more of a source than its `max_drop` allows."""
    rails = {
        module.NAME: (use.use, params.max_drop) for use in context.recipe.filters for module, params in [use.load()]
    }
    rows: Counter[str] = Counter()
    drops: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for part, path in screens.items():
        losses = read_losses(context.store, part, path)
        rows[part.source] += losses.rows
        for stage, loss in losses.stages.items():
            drops[part.source, stage] += loss.rows
            examples.setdefault((part.source, stage), []).extend(loss.examples)
    for (source, stage), count in sorted(drops.items()):
        if stage in rails and count > rails[stage][1] * rows[source]:
            use, rail = rails[stage]
            shown = "\n".join(f"  {line}" for line in examples[source, stage][:5])
            raise StageError(
                f"filter {use!r} drops {count} of {rows[source]} rows of source {source!r}, more than "
                f"filters.{use}.with.max_drop={rail}. Five of them:\n{shown}\nMend the thresholds or raise that key, "
                "and run again"
            )
