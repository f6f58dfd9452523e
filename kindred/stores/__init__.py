"""Where users and items are kept: the port and its adapters."""
