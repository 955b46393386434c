"""The product promises one sentence that names the variable and the remedy for a bad setting."""

import os
from pathlib import Path

import pytest

from desk.errors import ConfigurationFault
from infra.settings import Settings, external_services, load_settings, misspelt_variables
from tests.support.services import Services


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("FLOTILLA_", "TEMPORAL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_set_is_a_usable_start() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert (settings.database_url, settings.redis_url) == (None, None)
    assert (str(settings.data_dir), settings.telemetry) == ("data", "off")
    assert settings.temporal() == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://u:hidden@h/d", "must look like postgresql"),
        ("DATABASE_URL", "postgresql://u:hidden@h:port/d", "has a port that is not a number"),
        ("REDIS_URL", "http://:hidden@x", "must look like redis://"),
        ("TELEMETRY", "loud", "should be 'off', 'console' or 'otlp'"),
        ("LOG_LEVEL", "loud", "should be 'debug'"),
        ("FLEET", "My Fleet", "must be 1 to 32 lower-case letters"),
    ],
)
def test_a_bad_value_names_its_variable_and_not_its_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"FLOTILLA_{name}", value)
    with pytest.raises(ConfigurationFault, match=rf"^FLOTILLA_{name} .*{sentence}") as told:
        load_settings()
    assert "hidden" not in str(told.value)


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_LOG_LEVEL", "error")
    assert load_settings(log_level="debug").log_level == "debug"
    assert load_settings(log_level=None).log_level == "error"


def test_a_plain_postgresql_address_gets_the_driver_and_stays_out_of_the_repr() -> None:
    settings = load_settings(database_url="postgresql://u:hidden@h:1/d")
    assert settings.database_url == "postgresql+asyncpg://u:hidden@h:1/d"
    assert "hidden" not in repr(settings)
    assert "hidden" in settings.secrets()


def test_a_running_stack_fills_what_nobody_set(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_DATA_DIR", str(services.data_dir))
    monkeypatch.setenv("FLOTILLA_REDIS_URL", "redis://mine:6379/0")
    settings = load_settings()
    assert settings.database_url == services.database_url
    assert settings.redis_url == "redis://mine:6379/0"
    assert settings.temporal() == {"target_host": services.temporal_address}
    monkeypatch.setenv("TEMPORAL_ADDRESS", "elsewhere:7233")
    assert load_settings().temporal()["target_host"] == "elsewhere:7233"


def test_a_stale_entry_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "services.json").write_text(
        '{"database_url": "postgresql+asyncpg://u:p@127.0.0.1:1/d",'
        ' "redis_url": "redis://:p@127.0.0.1:1/0", "temporal_address": "127.0.0.1:1"}'
    )
    settings = load_settings()
    assert (settings.database_url, settings.redis_url, settings.temporal()) == (None, None, {})


def test_only_the_environment_replaces_an_embedded_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "mine:7233")
    external = external_services()
    assert external.temporal_address == "mine:7233"
    assert (external.database_url, external.redis_url) == (None, None)


def test_a_forgotten_temporal_profile_is_read_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\naddress = "production:7233"\n')
    assert load_settings().temporal() == {}
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    assert load_settings().temporal()["target_host"] == "production:7233"


def test_venue_settings_come_by_name_and_by_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__BASE_URL", "http://x")
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__API_KEY", "for-everybody")
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__SECOND__API_KEY", "for-second")
    settings = load_settings()
    venue = settings.venue("ocx")
    assert venue.get("base_url") == "http://x"
    assert venue.require("api_key", "main") == "for-everybody"
    assert venue.require("api_key", "Second") == "for-second"
    assert "for-" not in repr(venue)
    assert {"for-everybody", "for-second"} <= set(settings.secrets())
    with pytest.raises(ConfigurationFault, match="FLOTILLA_VENUE_X10__VAULT is not set"):
        settings.venue("x10").require("vault")


def test_a_private_key_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("the-key\n")
    file.chmod(0o600)
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__API_KEY_FILE", str(file))
    assert load_settings().venue("ocx").require("api_key") == "the-key"
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__API_KEY", "another")
    with pytest.raises(ConfigurationFault, match="are both set; unset one"):
        load_settings()


@pytest.mark.parametrize(
    ("mode", "content", "sentence"),
    [
        (0o640, b"the-key", "other accounts can open; run: chmod 600"),
        (0o604, b"the-key", "other accounts can open; run: chmod 600"),
        (0o600, b"", "is empty"),
        (0o600, b"\xff\xfe", "cannot be read"),
        (None, b"", "does not exist"),
    ],
)
def test_a_bad_key_file_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None, content: bytes, sentence: str
) -> None:
    file = tmp_path / "key"
    if mode is not None:
        file.write_bytes(content)
        file.chmod(mode)
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__API_KEY_FILE", str(file))
    with pytest.raises(
        ConfigurationFault, match=rf"^FLOTILLA_VENUE_OCX__API_KEY_FILE .*{sentence}"
    ):
        load_settings()


def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_DATABSE_URL", "x")
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__BASE_URL", "x")
    assert misspelt_variables() == (
        "Nothing reads FLOTILLA_DATABSE_URL; did you mean FLOTILLA_DATABASE_URL?",
    )


def test_a_venue_variable_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_VENUE_OCX", "x")
    with pytest.raises(ConfigurationFault, match="write FLOTILLA_VENUE_<VENUE>__<KEY>"):
        load_settings()


def test_a_secrets_manager_is_asked_by_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_VENUE_ZO__WALLET_KEY_COMMAND", "printf 'from the vault\\n'")
    venue = load_settings().venue("zo")
    assert venue.get("wallet_key") == "from the vault"
    assert "vault" not in repr(venue)


@pytest.mark.parametrize("command", ["false", "true", "no-such-program x", "printf '"])
def test_a_command_that_gives_no_secret_is_named(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("FLOTILLA_VENUE_ZO__WALLET_KEY_COMMAND", command)
    with pytest.raises(ConfigurationFault, match=r"^FLOTILLA_VENUE_ZO__WALLET_KEY_COMMAND: "):
        load_settings()


def test_a_key_has_one_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(0o600)
    monkeypatch.setenv("FLOTILLA_VENUE_ZO__WALLET_KEY_FILE", str(file))
    monkeypatch.setenv("FLOTILLA_VENUE_ZO__WALLET_KEY_COMMAND", "printf secret")
    with pytest.raises(ConfigurationFault, match="are both set"):
        load_settings()
