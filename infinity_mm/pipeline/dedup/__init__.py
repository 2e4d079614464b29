"""The tasks of the deduplication pass; `infinity_mm.pipeline.deduplication` says in which order and why."""
