"""The version, for whoever writes it down: pyproject.toml reads it here; and the distribution."""

__version__ = "0.2.0"
DISTRIBUTION = "molgen-remdm"
"""The name to install by, as in pyproject.toml: ``molgen`` on the package index is another one."""
