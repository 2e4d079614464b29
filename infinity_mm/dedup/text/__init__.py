"""Near-duplicate texts of Parquet files of any size: `infinity-mm dedup text`."""
