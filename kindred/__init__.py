"""Kindred: recommendations from people who rate alike."""
