"""What can go wrong outside the data, as exceptions.

Data at fault never raises: it becomes a quarantine row or a drop with a reason. What raises is the
request (wrong recipe, wrong argument) or the machine (disk, engine, a bug), and the command line maps
each to an exit status::

    InfinityMMError
    ├── UsageError            exit 2: found before any work starts
    │   ├── RecipeError           the recipe file
    │   └── SourceError           a source's name, root or files
    └── JobError              exit 1: the job began and could not finish
        ├── StageError            a stage broke its contract, or a rail stopped the run
        ├── StoreError            the work folder could not be read or written
        ├── EngineError           Ray, or a worker, failed
        └── ModelError            the model engine is missing, failed to load, or died
            └── EngineDiedError       it died at work; a new one may live
"""


class InfinityMMError(Exception):
    """Root of every exception this package raises on purpose."""

    exit_status = 1


class UsageError(InfinityMMError):
    """The request itself is wrong; nothing has been done yet."""

    exit_status = 2


class RecipeError(UsageError):
    """The recipe cannot be read or means nothing; the message names file, key and remedy."""


class SourceError(UsageError):
    """A source's name, root or expected files are wrong or absent."""


class JobError(InfinityMMError):
    """The job started and could not finish; running the same command again resumes it."""


class StageError(JobError):
    """A stage broke its contract (a bug) or a rail such as ``max_drop`` stopped the run."""


class StoreError(JobError):
    """The work folder could not be read or written (full disk, permissions, damage)."""


class EngineError(JobError):
    """Ray could not start, or its workers died more often than a task may be tried."""


class ModelError(JobError):
    """The vision-language engine is missing, could not load its model, or died."""


class EngineDiedError(ModelError):
    """A vision-language engine died while requests were in work; a new engine may answer them."""
