"""Hypothesis finds counterexamples; how long an example takes on a busy machine is none."""

from hypothesis import HealthCheck, settings

settings.register_profile("kindred", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kindred")
