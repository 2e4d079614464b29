"""Reading exports with the loaders that training uses."""

from __future__ import annotations


def read_tar_with_webdataset(paths: list[str]) -> int:
    """Return how many samples webdataset sees in the tars, pictures decoded."""
    import webdataset

    dataset = webdataset.WebDataset(paths, shardshuffle=False, empty_check=False).decode("pil")
    return sum(1 for sample in dataset if "json" in sample)


def read_parquet_with_datasets(paths: list[str]) -> int:
    """Return how many rows `datasets` sees in the files, pictures decoded."""
    import datasets
    from pyarrow.dataset import ParquetFragmentScanOptions

    # Streaming: else every file would first be copied into an Arrow cache. No prefetch: it holds a whole file.
    options = ParquetFragmentScanOptions(pre_buffer=False)
    table = datasets.load_dataset(
        "parquet", data_files={"train": paths}, split="train", streaming=True, fragment_scan_options=options
    )
    count = 0
    for row in table:
        for image in row["images"]:
            image.load()
        count += 1
    return count
