"""A small S3 server for tests, standard library only: what pyarrow's S3 file system asks of one, and nothing else."""
