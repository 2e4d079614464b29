"""Reading a folder with a reader, for splits of several sizes."""

from infinity_mm.fs import Location

SIZES = (1, 2, 7, 1000)


def rows_of(reader, root, size, patterns=("*",)):
    """Return (file, locator, digest, repeat, row, reason) of every raw row for splits of `size` rows."""
    where = Location.of(root)
    plan = reader.plan(where, patterns, Location.of(root) / ".prepared", size)
    found = []
    for split in plan.splits:
        raws = list(reader.read(where, split))
        assert len(raws) == split.rows, "as many rows as were planned"
        found += [(split.file, r.locator, r.digest, r.repeat, r.row, r.error and r.error.reason) for r in raws]
    return found


def same_for_all_sizes(reader, root, patterns=("*",)):
    found = [rows_of(reader, root, size, patterns) for size in SIZES]
    assert all(other == found[0] for other in found[1:])
    ids = [(file, digest, repeat) for file, _, digest, repeat, _, _ in found[0]]
    assert len(set(ids)) == len(ids), "file, digest and repeat identify a row"
    return found[0]
