"""What a page may say: whatever comes is a request of the list, or refused in one line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.web import limits
from neurorack.web.messages import ALLOWED, NAMES, Refused, parse, plain_name

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)
KEYS = st.sampled_from(("id", "do", "model", "take", "encoder", "value")) | st.text(max_size=8)


@given(st.binary(max_size=300) | st.text(max_size=300) | VALUES.map(json.dumps) | st.dictionaries(KEYS, VALUES | st.sampled_from(sorted(ALLOWED)), max_size=8).map(json.dumps))
@settings(max_examples=400, deadline=None)
def test_every_message_is_a_request_or_refused_in_one_line(text):
    try:
        number, request = parse(text)
    except Refused as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        assert error.id is None or isinstance(error.id, (int, str))
        return
    assert request["do"] in ALLOWED and (number is None or isinstance(number, (int, str)))
    assert all(request.get(key) is None or plain_name(request[key]) for key in NAMES)


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{", "{}", '{"do": 7}', '{"do": "pairing_try", "code": "000000"}', '{"do": "unpair", "id": "all"}',
                                  '{"do": "power", "what": "shutdown"}',
                                  '{"do": "swap", "model": "/etc/passwd"}', '{"do": "swap", "model": "../x"}', '{"do": "load", "slot": "B", "model": "x", "encoder": "a/b"}',
                                  '{"do": "take_delete", "take": ".."}', '{"do": "swap", "model": ["x"]}', '{"do": "tap", "id": [1]}', '{"do": "tap", "id": 1e400}', "[" * 5000,
                                  json.dumps({"do": "set", **{f"x{i}": 0 for i in range(100)}}), json.dumps({"do": "set", "x": "y" * limits.MOST_MESSAGE_BYTES})])
def test_what_a_page_cannot_ask(text):
    with pytest.raises(Refused):
        parse(text)


def test_the_number_comes_back_with_a_refusal():
    with pytest.raises(Refused) as refused:
        parse('{"id": 12, "do": "nonsense"}')
    assert refused.value.id == 12
    assert parse('{"id": "a", "do": "tap"}') == ("a", {"do": "tap"})


def test_a_bucket_gives_its_rate_and_no_more():
    bucket = limits.Bucket(1000.0, 5)
    assert [bucket.take() for _ in range(5)] == [True] * 5
    bucket.level = 0.0
    assert not bucket.take()
    buckets = limits.Buckets(0.0, 1)
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [True, False, True]
    for number in range(3000):
        buckets.take(str(number))
    assert len(buckets.of) <= limits.Buckets.MOST
