"""The `kindred` command: thin, one module per command."""

import os

# gRPC's core writes lines of its own to standard error; what they say, we say better. It reads this when imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
