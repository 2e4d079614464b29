from __future__ import annotations

import pyarrow as pa

from infinity_mm.turns import flat_turns
from tests.filters.rows import ASK, SAY, record, table


def test_turns_of_slices_and_chunks_are_those_of_their_rows() -> None:
    whole = table(record(), record(ASK, SAY), record(("system", "s"), ASK), record(SAY))
    expected = [
        ([], []),
        ([ASK[0], SAY[0]], [ASK[1], SAY[1]]),
        (["system", "user"], ["s", ASK[1]]),
        ([SAY[0]], [SAY[1]]),
    ]
    assert list(flat_turns(whole)) == expected
    assert list(flat_turns(whole.slice(1, 2))) == expected[1:3]
    assert list(flat_turns(pa.concat_tables([whole.slice(2), whole.slice(0, 2)]))) == expected[2:] + expected[:2]
    assert list(flat_turns(whole.slice(0, 0))) == []
