"""The main job: passes over partitions, from raw files to shards.

How a record travels::

    splits ─ urls, fetch, resolve ─> downloads/     (sources that give pictures by URL; see `downloading`)
    raw files ─ plan ─> splits ─ ingest ─> records/            (image bytes, first time)
                                   │        attributes/ingest/  (what decoding measured)
                                   └──────> quarantine/         (rows that could not be read, and why)
    records/ ─ identity, measure ─> attributes/<filter>/, attributes/signature/
    attributes/ ─ screen ─> attributes/screen/  ─ decontaminate, dedup ─> attributes/decontaminate/, attributes/dedup/
                                   (`dedup` in several passes over ``state/dedup-*``; see `deduplication`)
    survivors ─ synth ─> records/synthetic/     ─ mixture ─> attributes/mixture/
    all of it ─ ledger ─> ledger/               ─ books balance, or the run fails
    kept rows ─ export ─> exports/<name>/       (image bytes, second and last time)

Every pass is a list of frozen tasks, each with the files it will write. A task whose files exist is
done: that is all there is to resuming.
"""
