"""The bulk door: data sets into a store."""
