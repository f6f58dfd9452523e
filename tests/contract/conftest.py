"""The promises live in tests/support; their assertions are explained like those of a test module."""

import pytest

pytest.register_assert_rewrite("tests.support")
