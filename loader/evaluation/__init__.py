"""Offline evaluation: how well the product would have guessed what people went on to like."""
