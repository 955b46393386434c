"""The X10 touch bot's `.env` becomes a start message and settings; its keys stay where they are."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.errors import ConfigurationFault
from desk.quoting.parameters import QuoteStyle
from flotilla.import_env import MOST_PER_MIN, Imported, import_env
from infra.venue_settings import venue_settings
from tests.flotilla.test_cli import USAGE, complaint, flotilla
from venues.x10.settings import TIERS, read_settings

KEYS = {"API_KEY": "5fa0c1d2e3", "PRIVATE_KEY": "0x7a1b2c3d", "PUBLIC_KEY": "0x61c5e7e8"}
PASTED = "0x7a1b2c3d4e5f60718293a4b5c6d7e8f9"
SAMPLE = {
    **KEYS,
    "VAULT": "110913",
    "MM_MARKET": "BTC-USD",
    "MM_LEVELS": "2",
    "MM_TARGET_USD": "250",
    "MM_OFFSET_DIVISOR": "400",
    "MM_MAX_IN_FLIGHT": "4",
    "MM_MARKET_MAKER": "0",
}


def env(**changed: str | None) -> str:
    values = {**SAMPLE, **changed}
    return "\n".join(f"{name}={value}" for name, value in values.items() if value is not None)


def imported(**changed: str | None) -> Imported:
    return import_env(env(**changed), {})


def faults(text: str) -> str:
    with pytest.raises(ConfigurationFault) as caught:
        import_env(text, {})
    return str(caught.value)


def test_the_sample_file_becomes_a_market_of_style_touch() -> None:
    start = imported().start
    assert start.market.path == "x10/main/BTC-USD"
    parameters = start.parameters
    assert parameters.style is QuoteStyle.TOUCH
    assert (parameters.levels, parameters.offset_divisor) == (2, 400)
    assert parameters.level_notional == 250
    # As the bot: no leaning, and any changed price is replaced.
    assert parameters.skew == 0
    assert parameters.requote_tolerance_bps == 0


def test_the_settings_are_those_the_adapter_reads(tmp_path: Path) -> None:
    found = imported(MM_RATE_LIMIT_RPS="8")
    environment = dict(found.settings)
    for file, name in found.files.items():
        path = tmp_path / Path(file).name
        path.write_text(KEYS[name])
        path.chmod(0o600)
        environment = {key: value.replace(file, str(path)) for key, value in environment.items()}
    given = venue_settings(environment)["x10"]
    names = {key.replace("__", "."): value for key, value in given.values.items()}
    read = read_settings({**names, **given.secrets, "dead_man.unit": "seconds"})
    assert read["vault"] == 110_913
    assert (read["rate_per_min"], read["rate_tier"], read["max_in_flight"]) == (480, "default", 4)
    assert read["public_key"] == int(KEYS["PUBLIC_KEY"], 16)
    assert read["base_url"].startswith("https://api.starknet.extended.exchange")


def test_market_maker_limits_are_a_tier() -> None:
    found = imported(MM_MARKET_MAKER="1")
    assert found.settings["FLOTILLA_VENUE_X10__RATE__TIER"] == "mm"
    assert "FLOTILLA_VENUE_X10__RATE__PER_MIN" not in found.settings
    assert found.start.max_orders_per_minute == 12_000
    assert {tier: TIERS[tier] for tier in MOST_PER_MIN} == MOST_PER_MIN


@given(st.integers(1, 20), st.integers(1, 16))
def test_replacing_every_level_each_time_stays_within_the_rate(levels: int, rps: int) -> None:
    start = imported(
        MM_LEVELS=str(levels), MM_RATE_LIMIT_RPS=str(rps), MM_OFFSET_DIVISOR="900"
    ).start
    a_minute = Decimal(60_000) / start.debounce_ms * 2 * levels
    assert a_minute <= Decimal("0.75") * rps * 60
    assert a_minute <= start.max_orders_per_minute


def test_what_has_no_counterpart_is_said() -> None:
    notes = "\n".join(imported(MM_RATE_LIMIT_BURST="32", TELEGRAM_CHAT="1234").notes)
    for said in ("inventory_cap", "a bigger one is tighter", "DEAD_MAN__UNIT", "BURST", "1 other"):
        assert said in notes
    assert "TELEGRAM" not in notes


def test_fields_of_the_command_line_win() -> None:
    start = import_env(env(), {"inventory_cap": "700", "skew": "0.5"}).start
    assert start.inventory_cap == 700
    assert start.skew == Decimal("0.5")
    with pytest.raises(ConfigurationFault, match="venue: the bot knew one account"):
        import_env(env(), {"venue": "ocx"})


def test_quotes_comments_and_export_are_read_as_in_a_shell() -> None:
    text = env(MM_LEVELS=None, MM_TARGET_USD=None)
    text += "\nexport MM_LEVELS='3' # a side\n\n# MM_LEVELS=9\nMM_TARGET_USD=\"300\"\n"
    start = import_env(text, {}).start
    assert start.levels == 3
    assert start.level_notional == 300


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"MM_MARKET": None}, "MM_MARKET: is missing"),
        ({"MM_MARKET": "BTC/USD"}, "MM_MARKET: is not the name of a market"),
        ({"MM_LEVELS": "two"}, "MM_LEVELS: is not a whole number; give one from 1 to 20"),
        ({"MM_LEVELS": "21"}, "MM_LEVELS: is not"),
        ({"MM_LEVELS": "20"}, "MM_LEVELS: as levels, the outermost is 500.0 bps or more"),
        ({"MM_TARGET_USD": "-1"}, "MM_TARGET_USD: is not a number above zero"),
        ({"MM_TARGET_USD": "NaN"}, "MM_TARGET_USD: is not a number above zero"),
        ({"MM_TARGET_USD": "6000"}, "MM_TARGET_USD: as level_notional, 6000 exceeds inventory_cap"),
        ({"MM_OFFSET_DIVISOR": "400.5"}, "MM_OFFSET_DIVISOR: is not a whole number"),
        ({"MM_OFFSET_DIVISOR": "2"}, "MM_OFFSET_DIVISOR: as offset_divisor, 2 is not above levels"),
        ({"MM_MAX_IN_FLIGHT": "0"}, "MM_MAX_IN_FLIGHT: is not"),
        ({"MM_MARKET_MAKER": "yes"}, "MM_MARKET_MAKER: is neither 0 nor 1"),
        ({"MM_RATE_LIMIT_RPS": "17"}, "MM_RATE_LIMIT_RPS: times 60 it is not within 1 to 1000"),
        ({"MM_RATE_LIMIT_BURST": "x"}, "MM_RATE_LIMIT_BURST: is not a number above zero"),
        ({"VAULT": None}, "VAULT: is missing"),
        ({"VAULT": "0x1"}, "VAULT: is not a whole number"),
        ({"MM_LEVLS": "2"}, "MM_LEVLS: nothing reads it; did you mean MM_LEVELS?"),
        ({"MM_TARGET_USD": "1e12"}, "MM_TARGET_USD: is not a number above zero"),
        ({"MM_": "2"}, "MM_: nothing reads it"),
    ],
)
def test_a_bad_value_gets_a_sentence_that_names_it(
    changed: dict[str, str | None], sentence: str
) -> None:
    assert sentence in faults(env(**changed))


def test_every_problem_is_listed_at_once() -> None:
    text = env(MM_MARKET=None, VAULT="x", MM_LEVELS="0", MM_X="1") + "\n\nnot a line\n"
    found = faults(text)
    for said in ("MM_MARKET:", "VAULT:", "MM_LEVELS:", "MM_X:", f"line {len(text.splitlines())}:"):
        assert said in found


@pytest.mark.parametrize("name", [*SAMPLE, "MM_RATE_LIMIT_RPS", "MM_UNKNOWN", "OTHER"])
@pytest.mark.parametrize("pasted", [PASTED, f"{PASTED} {PASTED}", f'"{PASTED}', "9" * 70])
def test_no_key_in_the_wrong_place_reaches_a_message(name: str, pasted: str) -> None:
    """Whoever pastes a key into the wrong line must not find it in a log."""
    try:
        said = repr(import_env(env(**{name: pasted}), {}))
    except ConfigurationFault as fault:
        said = str(fault)
    assert pasted[:20] not in said
    assert PASTED[:12] not in said


def test_a_key_on_a_line_of_its_own_is_named_by_the_line() -> None:
    assert faults(f"{PASTED}\n{env()}") == "line 1: is not NAME=VALUE; correct or remove it"


def test_the_command_prints_a_start_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(env())
    text = flotilla("market", "import-env", str(file), folder=tmp_path)
    assert text.returncode == 0, text.stderr
    assert text.stdout.splitlines()[-1].startswith("flotilla market start x10/main/BTC-USD --set ")
    assert "export FLOTILLA_VENUE_X10__PRIVATE_KEY_FILE=state/x10.private-key" in text.stdout
    as_json = flotilla("market", "import-env", str(file), "--json", folder=tmp_path)
    said = json.loads(as_json.stdout)
    assert said["start"]["style"] == "touch"
    assert said["settings"]["FLOTILLA_VENUE_X10__VAULT"] == "110913"
    for done in (text, as_json):
        assert not any(key in done.stdout + done.stderr for key in KEYS.values())


def test_the_command_ends_with_the_usage_code(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(env(MM_LEVELS="two"))
    done = flotilla("market", "import-env", str(file), folder=tmp_path)
    assert done.returncode == USAGE
    assert "MM_LEVELS" in complaint(done)
    file.write_bytes(b"\xff\xfe\x00")
    done = flotilla("market", "import-env", str(file), folder=tmp_path)
    assert done.returncode == USAGE
    assert "cannot be read as text" in complaint(done)
