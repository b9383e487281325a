"""The sandbox's small parts, without a server."""

from pathlib import Path

import pytest

from tallystick.sandbox import idempotency
from tallystick.sandbox.clock import SandboxClock, parse_span
from tallystick.sandbox.delivery import retry_delay, signature_header
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.events import previous_attributes
from tallystick.sandbox.ids import IdMaker
from tallystick.sandbox.params import array_of, decode_form, hash_of, integer, metadata, string, validate
from tallystick.sandbox.recording import Recorder
from tallystick.sandbox.shapes import canonical, encode
from tallystick.sandbox.store import Store


@pytest.mark.parametrize(
    ("form", "decoded"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[10]=z&a[2]=y", {"a": ["y", "z"]}),
        ("i[0][price]=p&i[0][n]=1&i[1][price]=q", {"i": [{"price": "p", "n": "1"}, {"price": "q"}]}),
        ("expand%5B%5D=data.customer", {"expand": ["data.customer"]}),
        ("name=%C3%A9+x", {"name": "é x"}),
    ],
)
def test_forms(form: str, decoded: object) -> None:
    assert decode_form(form) == decoded


def test_a_form_that_contradicts_itself() -> None:
    with pytest.raises(ApiError):
        decode_form("a=1&a[b]=2")


def test_nested_paths_in_refusals() -> None:
    fields = {"items": array_of(hash_of({"n": integer(1), "name": string()}, required=("name",)))}
    assert validate(decode_form("items[0][n]=3&items[0][name]=x"), fields) == {"items": [{"n": 3, "name": "x"}]}
    for form, param in (
        ("items[0][n]=0&items[0][name]=x", "items[0][n]"),
        ("items[0][n]=1", "items[0][name]"),
        ("items[0][nope]=1", "items[0][nope]"),
        ("items=x", "items"),
    ):
        with pytest.raises(ApiError) as caught:
            validate(decode_form(form), fields)
        assert caught.value.param == param


def test_metadata_marks_what_is_unset() -> None:
    assert metadata({"a": "1", "b": ""}, "metadata") == {"a": "1", "b": None}
    assert metadata("", "metadata") == {"": None}


def test_key_order() -> None:
    shuffled = {"b": 1, "object": "x", "a": {"z": 1, "id": 2}, "id": "y", "c": [{"b": 1, "a": 2}]}
    assert encode(canonical(shuffled)) == b'{"id":"y","object":"x","a":{"id":2,"z":1},"b":1,"c":[{"a":2,"b":1}]}'


def test_previous_attributes() -> None:
    before = {"a": 1, "m": {"x": "1", "y": "2"}, "l": [1, 2], "n": None, "same": {"q": 1}}
    after = {"a": 2, "m": {"x": "1", "z": "3"}, "l": [1], "n": {"k": 1}, "same": {"q": 1}}
    assert previous_attributes(before, after) == {"a": 1, "m": {"y": "2", "z": None}, "l": [1, 2], "n": None}


def test_retry_schedule_ends_within_three_days() -> None:
    delays = [retry_delay(failures, 2.0) for failures in range(1, 14)]
    assert delays[:4] == [2.0, 10.0, 60.0, 600.0]
    assert delays == sorted(delays)
    assert 9 <= sum(1 for count in range(1, 14) if sum(delays[:count]) <= 3 * 86400) <= 13


def test_signature() -> None:
    # Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
    digest = "35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
    assert signature_header(b"{}", "whsec_test", 1700000000) == f"t=1700000000,v1={digest}"
    assert signature_header(b"{}", "whsec_test", 1) != signature_header(b"{}", "whsec_other", 1)


@pytest.mark.parametrize(("text", "seconds"), [(90, 90), ("90", 90), ("40d", 3_456_000), ("2h", 7200), ("1w", 604_800)])
def test_spans(text: int | str, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "soon", "4y", "nan", "inf", "1e999d", True, None])
def test_what_is_no_span(text: object) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        parse_span(text)


def test_idempotency_keys_live_a_day() -> None:
    store = Store(":memory:", {})
    idempotency.keep(store, "k", "POST", idempotency.Saved(200, b"{}", "req_1"), now=1000)
    idempotency.prune(store, now=1000 + 86_400)
    assert idempotency.find(store, "k", "POST", now=1000 + 86_400) is not None
    assert idempotency.find(store, "k", "POST", now=1001 + 86_400) is None
    idempotency.prune(store, now=1001 + 86_400)
    assert idempotency.find(store, "k", "POST", now=1000) is None
    store.close()


def test_business_time_never_goes_back() -> None:
    clock = SandboxClock()
    before = clock.exact()
    clock.move_to(before + 1000)
    clock.move_to(before)
    assert clock.exact() >= before + 1000
    assert abs(clock.wall_unix() - before) < 5


def test_id_forms() -> None:
    maker = IdMaker("ABCDEFGHIJ", SandboxClock())
    intent = maker.payment()
    assert len(intent) == len("pi_") + 24
    assert intent[9:19] == "ABCDEFGHIJ"
    assert maker.sibling("ch_", intent)[3:20] == intent[3:20]
    assert len(maker.short("cus_")) == 18
    assert len(maker.long("evt_")) == 28
    assert len({maker.long("evt_") for _ in range(1000)}) == 1000


def test_store_rolls_back_and_forgets() -> None:
    store = Store(":memory:", {"thing": ("owner",)})
    with store.transaction():
        store.put({"id": "t_1", "object": "thing", "created": 1, "owner": "a"})
    with pytest.raises(RuntimeError):
        _change_and_fail(store)
    with store.transaction():
        assert [item["owner"] for item in store.find("thing", "owner", "a")] == ["a"]
        assert store.find("thing", "owner", "b") == []
    store.close()


def _change_and_fail(store: Store) -> None:
    with store.transaction():
        thing = store.get("t_1")
        assert thing is not None
        thing["owner"] = "b"
        store.put(thing)
        assert store.get("t_1") is thing
        assert store.stored("t_1")["owner"] == "b"
        raise RuntimeError


def test_recorder_writes_each_body_once(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    recorder = Recorder(path)
    for _ in range(2):
        recorder.add("2023-10-16", b'{"object":"customer"}')
        recorder.add("", b'{"object":"event","api_version":"v"}')
    assert path.read_bytes().splitlines() == [
        b'{"api_version":"2023-10-16","body":{"object":"customer"}}',
        b'{"api_version":"v","body":{"object":"event","api_version":"v"}}',
    ]
