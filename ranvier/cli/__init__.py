"""The command line. First-party imports stand inside the verbs, so that help and `columns` need no torch."""
