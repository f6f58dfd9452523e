"""Kafka, as Kindred uses it: the only package that touches kafka-python, which has no types and its own threads.

Calls that may block run on one thread of their own, so that the event loop never waits for a broker. A consumer object
is not safe to share between threads: one thread makes all of its calls.
"""
