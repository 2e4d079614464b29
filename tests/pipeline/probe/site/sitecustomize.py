"""Makes the sources of the tests known to every interpreter that is started with this folder on PYTHONPATH."""

import os

import infinity_mm.sources

infinity_mm.sources.__path__.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "sources"))
