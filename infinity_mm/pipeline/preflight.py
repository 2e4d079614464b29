"""What is looked at before any work: are a source's files there, and do its rows find their pictures."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from infinity_mm.access import how_to_get
from infinity_mm.archives.pieces import find_archives, is_archive_root
from infinity_mm.errors import SourceError
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_u64
from infinity_mm.pipeline.indexing import list_archives, list_indexed
from infinity_mm.recipe import Recipe, SourceUse
from infinity_mm.sources.base import ImageRef, Plan, Quarantine, Raw, Source, Split
from infinity_mm.sources.families.files import match_files
from infinity_mm.sources.families.listing import Listed, Lists, list_files
from infinity_mm.sources.images import ImageStore
from infinity_mm.store import Store

#: Rows looked at per source, unless a caller says otherwise.
SAMPLED = 200
#: Splits that they come from: a split is read from its start, so few of them are opened.
_SPLITS = 8
#: Rows of a split that is cut for sampling only.
_SPLIT_ROWS = 250
#: Bytes of annotation files that are streamed to sample rows of a source that no run has cut yet.
STREAMED = 1 << 30
#: Bytes that a picture takes in what a folder of pictures is cut into, about.
_LISTED = 128


class Pictures(Frozen):
    """What became of the pictures of sampled rows."""

    rows: int
    #: Pictures that the rows name by path or hold themselves.
    named: int
    found: int
    #: Pictures given by URL: these are downloaded by a run, and not looked up.
    by_url: int
    #: Why the first of them did not; "" where all did.
    first_lost: str
    #: Rows that a run would quarantine, for a picture or for what they are: reason -> rows.
    refused: dict[str, int]
    #: Why the first row was refused for what it is; "" where none was.
    first_refused: str = ""
    #: What is wrong with archives, or that they can be searched only once a run has indexed them.
    archives: tuple[str, ...] = ()
    #: True where pictures may be in an archive that has no index yet: what was not found may be there.
    unindexed: bool = False
    #: Annotation files that no row was sampled of, as that would mean to stream too much.
    left_out: tuple[str, ...]

    def line(self) -> str:
        """Return the figures in a sentence."""
        parts = []
        if self.named:
            first = f"; first missing: {self.first_lost}" if self.first_lost else ""
            parts.append(f"{self.found} of {self.named} sampled pictures found{first}")
        if self.by_url:
            parts.append(f"{self.by_url} sampled pictures are given by URL, to be downloaded")
        lost = sum(self.refused.values())
        if not self.named and not self.by_url and self.rows > lost:
            parts.append(f"{self.rows - lost} sampled rows name no picture")
        if self.refused:
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.refused.items())
            first = f"; first: {self.first_refused}" if self.first_refused else ""
            parts.append(f"{lost} of {self.rows} sampled rows would go to quarantine ({reasons}{first})")
        parts += self.archives
        if self.left_out:
            parts.append(
                f"not sampled for their size: {', '.join(self.left_out[:3])}{', ...' * (len(self.left_out) > 3)}"
            )
        return "; ".join(parts) or "no row to sample"


def check_inputs(recipe: Recipe) -> dict[str, tuple[Listed, ...]]:
    """Return the annotation files of every source of a recipe; lists folders and reads nothing.

    Raises `SourceError` that names, for every source without any, what was expected, where, and how to get it.
    """
    listings: dict[str, tuple[Listed, ...]] = {}
    faults = []
    for use in recipe.sources:
        source = use.load()
        try:
            listings[use.name] = list_files(source, Location(use.root), use.files or source.card.files)
        except SourceError as error:
            faults.append(f"{use.name}: {error}; {how_to_get(source.card)}")
    if faults:
        raise SourceError("\n".join(faults))
    return listings


def check_sample(use: SourceUse, pictures: Pictures) -> str | None:
    """Return why a run would stop at this source, or None: more sampled rows are lost than `max_quarantined` allows."""
    lost = sum(pictures.refused.values())
    if pictures.unindexed or lost <= use.max_quarantined * pictures.rows:
        return None
    source = use.load()
    there, absent = picture_roots(source, Location(use.root))
    places = [f"{place or '.'} ({'there' if place in there else 'not there'})" for place in (*there, *absent)]
    return (
        f"{use.name}: {pictures.line()}. That is more than sources.{use.name}.max_quarantined={use.max_quarantined}. "
        f"Pictures are looked up in {', '.join(places)} below {Location(use.root)}; {how_to_get(source.card)}"
    )


def unmatched(use: SourceUse) -> tuple[str, ...]:
    """Return those of the published file names (globs) that match nothing; a part of a source can be used alone."""
    root, source = Location(use.root), use.load()
    return tuple(pattern for pattern in source.card.files if not _matches_any(source, root, pattern))


def _matches_any(source: Source, root: Location, pattern: str) -> bool:
    if not isinstance(source.reader, Lists):
        return bool(match_files(root, pattern))
    with suppress(SourceError):
        return bool(source.reader.list_files(root, (pattern,)))
    return False


def picture_roots(source: Source, root: Location) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the folders and archives in which pictures are looked up: those that are there, and those that are not."""
    there = [place for place in source.image_roots if _is_there(root, place)]
    return tuple(there), tuple(place for place in source.image_roots if place not in there)


def _is_there(root: Location, place: str) -> bool:
    return bool(find_archives(root, place)) if is_archive_root(place) else (root / place).is_dir()


def sample_pictures(use: SourceUse, plan: Plan | None, count: int = SAMPLED, store: Store | None = None) -> Pictures:
    """Resolve the pictures of up to `count` rows of a source: a function of the files alone.

    `plan` is that of an earlier run, if there is one; else the annotation files are cut into a temporary folder, as
    many of them as `STREAMED` allows. Of `store`, a run folder, the indexes of archives are used if they are there.
    """
    source = use.load()
    root = Location(use.root)
    with tempfile.TemporaryDirectory(prefix="infinity-mm-plan-") as folder:
        left_out: tuple[str, ...] = ()
        if plan is None:
            files, left_out = _affordable(list_files(source, root, use.files or source.card.files))
            empty = Plan((), ())
            plan = source.reader.plan(root, files, Location.of(folder), _SPLIT_ROWS) if files else empty
        archives = None if store is None else list_indexed(store, use)
        work = None if store is None else store.work
        images = ImageStore(root, source.image_roots, archives=archives, work=work)
        tally = _Tally(source, images)
        for raw in _draw(source, root, plan, count):
            tally.add(raw)
        unindexed = archives is None and any(archive.kind == "gzip" for archive in list_archives(use))
        return tally.pictures(left_out, tuple(images.problems()), unindexed)


def _affordable(listing: Sequence[Listed]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that may be streamed, smallest first, and the others; names as globs that match themselves."""
    sizes = sorted((_streamed(one), one.path) for one in listing)
    files, total = [], 0
    for size, file in sizes:
        total += size
        if total <= STREAMED:
            files.append(file)
    others = {one.path for one in listing} - set(files)
    return tuple(_literal(file) for file in sorted(files)), tuple(sorted(others))


def _streamed(one: Listed) -> int:
    """Return about how many bytes cutting reads: of tars headers and labels, of Parquet and folders no pictures."""
    if one.members is not None:
        return one.members * _LISTED
    packed = one.path.lower().endswith((".tar", ".parquet"))
    return one.size // 64 if packed else one.size


def _literal(path: str) -> str:
    """Return a glob that matches the path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def _draw(source: Source, root: Location, plan: Plan, count: int) -> Iterator[Raw]:
    """Yield sampled rows: of a few splits drawn by a hash of their place, the rows with the lowest hashes."""
    splits = sorted(plan.splits, key=lambda split: keyed_u64(0, "preflight", f"{split.file}\x1f{split.first}"))[
        :_SPLITS
    ]
    pairs = [(split, place) for split in splits for place in range(split.rows)]
    pairs.sort(key=lambda pair: keyed_u64(0, "preflight", f"{pair[0].file}\x1f{pair[0].first + pair[1]}"))
    wanted: dict[Split, set[int]] = {}
    for split, place in pairs[:count]:
        wanted.setdefault(split, set()).add(place)
    for split in splits:
        places = wanted.get(split, set())
        for place, raw in enumerate(islice(source.reader.read(root, split), max(places, default=-1) + 1)):
            if place in places:
                yield raw


@dataclass
class _Tally:
    source: Source
    images: ImageStore
    rows: int = 0
    named: int = 0
    found: int = 0
    by_url: int = 0
    first_lost: str = ""
    first_refused: str = ""
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, raw: Raw) -> None:
        """Look at a row, or at those that were put together as one, as ingestion would, but decode nothing."""
        for member in raw.members or (raw,):
            self._add(member)

    def _add(self, raw: Raw) -> None:
        self.rows += 1
        sample = raw.error if raw.row is None else self.source.parse(raw.row)
        if sample is None or isinstance(sample, Quarantine):
            self.refused["unexpected_row" if sample is None else sample.reason] += 1
            self.first_refused = self.first_refused or ("" if sample is None else sample.detail)
            return
        faults = [fault for reference in sample.images if (fault := self._look(reference)) is not None]
        if faults:
            self.refused[faults[0]] += 1

    def _look(self, reference: ImageRef) -> str | None:
        """Return why the row is lost for want of this picture, or None."""
        if reference.url is not None and reference.path is None and reference.data is None:
            self.by_url += 1
            return None
        self.named += 1
        data = self.images.find(reference)
        if not isinstance(data, Quarantine):
            self.found += 1
            return None
        self.first_lost = self.first_lost or data.detail
        return None if reference.optional else data.reason

    def pictures(self, left_out: tuple[str, ...], archives: tuple[str, ...], unindexed: bool) -> Pictures:
        """Return the figures."""
        refused = dict(sorted(self.refused.items()))
        return Pictures(
            rows=self.rows,
            named=self.named,
            found=self.found,
            by_url=self.by_url,
            first_lost=self.first_lost,
            refused=refused,
            first_refused=self.first_refused,
            archives=archives,
            unindexed=unindexed,
            left_out=left_out,
        )
