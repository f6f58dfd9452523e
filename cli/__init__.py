"""The `kindred` command: thin, one module per command."""
