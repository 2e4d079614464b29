"""Rivals of `dedup text`, as programs that run in an environment of their own: no module of this project.

``python rivals_text.py NAME FOLDER OUT`` reads ``FOLDER/*.parquet`` (columns id, text) and writes the removed ids to
the file OUT. All use 128 permutations, word 5-grams and a threshold of 0.7, and keep the first row they meet.
"""

import glob
import sys

THRESHOLD, PERMUTATIONS, NGRAM, BANDS, ROWS = 0.7, 128, 5, 14, 9


def batches(folder):
    """Yield (ids, texts)."""
    import pyarrow.parquet as pq

    for path in sorted(glob.glob(folder + "/*.parquet")):
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(8192, columns=["id", "text"]):
                yield batch.column("id").to_pylist(), batch.column("text").to_pylist()


def ngrams(text):
    """Return the word 5-grams of a text."""
    words = text.split()
    return [" ".join(words[place : place + NGRAM]) for place in range(len(words) - NGRAM + 1)]


def daft(folder, _):
    """Signatures by the engine's expression, bands and components by numpy and scipy; no verification."""
    import daft as engine
    import numpy as np

    table = engine.read_parquet(folder + "/*.parquet")
    signature = engine.col("text").minhash(num_hashes=PERMUTATIONS, ngram_size=NGRAM, seed=1, hash_function="xxhash")
    table = table.select(engine.col("id"), signature.alias("signature")).to_arrow()
    column = table.column("signature").combine_chunks()
    signatures = column.flatten().to_numpy().reshape(len(column), PERMUTATIONS)
    return firsts(table.column("id").to_pylist(), signatures, np)


def firsts(ids, signatures, np):
    """Remove all but the first row of each connected component of rows that share a band."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones, others = [], []
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS]).astype(np.uint64)
        key = np.zeros(len(part), np.uint64)
        for row in range(ROWS):
            key = (key ^ part[:, row]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        order = np.argsort(key, kind="stable")
        same = key[order][1:] == key[order][:-1]
        ones.append(order[:-1][same])
        others.append(order[1:][same])
    one, other = np.concatenate(ones), np.concatenate(others)
    graph = coo_matrix((np.ones(len(one), bool), (one, other)), shape=(len(ids), len(ids)))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    lost = np.ones(len(ids), bool)
    lost[first] = False
    return [ids[row] for row in np.flatnonzero(lost)]


def datasketch(folder, _):
    """MinHashLSH, as documented: a row that finds another one is removed."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    removed = []
    for ids, texts in batches(folder):
        for identity, text in zip(ids, texts, strict=True):
            minhash = MinHash(num_perm=PERMUTATIONS)
            minhash.update_batch([gram.encode() for gram in ngrams(text)])
            if index.query(minhash):
                removed.append(identity)
            else:
                index.insert(identity, minhash, check_duplication=False)
    return removed


def rensa(folder, _):
    """RMinHashDeduplicator, which checks candidates by their signatures."""
    from rensa import RMinHash, RMinHashDeduplicator

    index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, num_bands=16, seed=42)
    removed = []
    for ids, texts in batches(folder):
        for identity, text in zip(ids, texts, strict=True):
            minhash = RMinHash(num_perm=PERMUTATIONS, seed=42)
            minhash.update(ngrams(text))
            if not index.add(identity, minhash):
                removed.append(identity)
    return removed


if __name__ == "__main__":
    name, folder, out = sys.argv[1:]
    removed = {"daft": daft, "datasketch": datasketch, "rensa": rensa}[name](folder, None)
    with open(out, "w") as handle:
        handle.write("\n".join(removed))
