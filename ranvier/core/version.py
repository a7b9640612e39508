"""The version of the package, which files and checkpoints name."""

VERSION = "0.1.0"
