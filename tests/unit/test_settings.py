from pathlib import Path

import pytest
from pydantic import ValidationError

from kindred.errors import PreconditionError
from kindred.eventlog.broker import Broker
from kindred.recipes import DEFAULT, RECIPES
from kindred.settings import Settings, load_settings, unknown_variables
from kindred.stores.indexes import IndexKind


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the machine sets changes no test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KINDRED_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


class TestSettings:
    def test_the_defaults_need_nothing(self) -> None:
        """Without any setting the server listens on this machine only, and the recipe is the measured one."""
        settings = Settings()
        assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 50051, Path("data"))
        assert settings.recipes() == RECIPES

    def test_the_environment_sets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """KINDRED_… variables set; two underscores reach into the recipe."""
        monkeypatch.setenv("KINDRED_DATA_DIR", "elsewhere")
        monkeypatch.setenv("KINDRED_PORT", "0")
        monkeypatch.setenv("KINDRED_RECIPE__K", "77")
        monkeypatch.setenv("KINDRED_RECIPE__SHARPNESS", "1.25")
        settings = Settings()
        assert (settings.data_dir, settings.port) == (Path("elsewhere"), 0)
        recipe = settings.recipes()["default"]
        assert (recipe.k, recipe.sharpness, recipe.query_damping) == (77, 1.25, DEFAULT.query_damping)
        assert recipe.short_profiles == DEFAULT.short_profiles
        assert settings.recipes()["tutorial-ratings"] == RECIPES["tutorial-ratings"]

    def test_a_commands_option_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An argument overrides the environment."""
        monkeypatch.setenv("KINDRED_PORT", "1234")
        assert Settings(port=4321).port == 4321

    @pytest.mark.parametrize("name", ["KINDRED_SERVER", "KINDRED_TEST_KAFKA", "KINDRED_NONSENSE"])
    def test_other_variables_do_no_harm(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """The client's and the tests' own variables are none of the settings'."""
        monkeypatch.setenv(name, "x")
        assert Settings() == Settings()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("port", "-1"),
            ("port", "65536"),
            ("port", "http"),
            ("partitions", "0"),
            ("replication", "0"),
            ("kafka_timeout", "0"),
            ("kafka_timeout", "nan"),
            ("session_timeout", "0.5"),
            ("batch_size", "0"),
            ("cache_bytes", "-1"),
            ("recount_interval", "0"),
            ("drain_grace", "-1"),
            ("drain_grace", "nan"),
            ("metrics_port", "65536"),
            ("indexed_attributes", "age"),
            ("indexed_attributes", "age:number,age:bool"),
            ("log_level", "loud"),
            ("log_format", "xml"),
            ("recipe__k", "0"),
            ("recipe__k", "1001"),
            ("recipe__sharpness", "-1"),
            ("recipe__sharpness", "inf"),
            ("recipe__query_damping", "2.5"),
        ],
    )
    def test_a_wrong_value_is_named(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        """A value out of bounds or of the wrong kind is refused, and the error says where it stands."""
        monkeypatch.setenv(f"KINDRED_{name.upper()}", value)
        with pytest.raises(ValidationError) as refused:
            Settings()
        assert [".".join(map(str, each["loc"])) for each in refused.value.errors()] == [name.replace("__", ".")]

    def test_an_unknown_setting_is_refused(self) -> None:
        """A misspelt name in the code is an error, not a setting without effect."""
        with pytest.raises(ValidationError, match="topics"):
            Settings(topics="x")

    def test_the_broker_is_described_whole(self) -> None:
        """Everything about Kafka reaches the one description of it."""
        settings = Settings(
            kafka="a:1, b:2", topic="t", dead_letter_topic="d", partitions=3, replication=2, kafka_timeout=4
        )
        broker = settings.broker()
        assert broker == Broker("a:1, b:2", "t", "d", partitions=3, replication=2, timeout=4.0)
        assert broker.servers() == ["a:1", "b:2"]

    def test_indexed_attributes_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which attributes have an index is one variable: names with kinds; none by default."""
        assert Settings().indexed() == {}
        monkeypatch.setenv("KINDRED_INDEXED_ATTRIBUTES", "age:number, country:keyword")
        assert Settings().indexed() == {"age": IndexKind.NUMBER, "country": IndexKind.KEYWORD}


class TestStores:
    def test_a_data_directory_wins_over_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who names a folder gets the embedded store there, also where the environment names a Qdrant server."""
        monkeypatch.setenv("KINDRED_QDRANT_URL", "http://qdrant:6334")
        assert load_settings(data_dir=Path("here")).qdrant_url == ""
        assert load_settings().qdrant_url == "http://qdrant:6334"

    def test_two_stores_exclude_each_other(self) -> None:
        """A folder and a server together are refused, with both options."""
        with pytest.raises(PreconditionError, match="--data-dir or --qdrant-url"):
            load_settings(data_dir=Path("here"), qdrant_url="http://qdrant:6334")

    @pytest.mark.parametrize(
        "url", ["qdrant:6334", "localhost", "ftp://q", "http://", "http://a/b", "http://a b", "http://u:p@a"]
    )
    def test_a_url_that_is_none_is_refused(self, url: str) -> None:
        """What is no http or https URL of a server is refused by the variable's name."""
        with pytest.raises(PreconditionError, match="KINDRED_QDRANT_URL"):
            load_settings(qdrant_url=url)

    @pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 101])
    def test_a_collection_name_that_qdrant_would_refuse_is_refused(self, name: str) -> None:
        """Names of collections are short and plain: they become part of others."""
        with pytest.raises(PreconditionError, match="KINDRED_COLLECTION"):
            load_settings(collection=name)

    @pytest.mark.parametrize("url", ["http://host:99999", "http://host:abc", "http://[::1", "http://:6334"])
    def test_a_url_with_a_wrong_host_or_port_is_refused(self, url: str) -> None:
        """A port that is none and a host that is missing are refused by the variable's name."""
        with pytest.raises(PreconditionError, match="KINDRED_QDRANT_URL"):
            load_settings(qdrant_url=url)

    def test_secrets_from_files_are_trimmed(self) -> None:
        """The newline that a mounted secret ends with is no part of it; what cannot be sent is refused unseen."""
        assert load_settings(qdrant_api_key="hunter2\n").qdrant_api_key.get_secret_value() == "hunter2"
        with pytest.raises(PreconditionError, match="KINDRED_KAFKA_PASSWORD") as refused:
            load_settings(kafka_password="hünter2")  # noqa: S106  # it is none
        assert "hünter2" not in str(refused.value)

    def test_processes_have_time_to_follow(self) -> None:
        """A replaced collection that would go before everybody has looked is refused, with both settings."""
        with pytest.raises(PreconditionError, match=r"KINDRED_SWAP_GRACE=1 .* KINDRED_SWAP_INTERVAL=10"):
            load_settings(swap_grace=1, swap_interval=10)

    @pytest.mark.parametrize("host", ["::1", "[::1]"])
    def test_an_ipv6_host_may_have_brackets(self, host: str) -> None:
        """Both ways to write an IPv6 address are the same."""
        assert load_settings(host=host).host == "::1"

    def test_misspelt_variables_are_found(self) -> None:
        """What begins as a setting does and is none is told; settings, the recipe's and other tools' are not."""
        names = ["KINDRED_QDRNT_URL", "KINDRED_QDRANT_URL", "KINDRED_RECIPE__K", "KINDRED_SERVER", "PATH"]
        assert unknown_variables(names) == ["KINDRED_QDRNT_URL"]
