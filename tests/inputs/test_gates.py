"""Contact bounce is dropped, no trigger is: whatever the contacts do, whenever somebody looks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.inputs.gates import LOCKOUT_NS, Debouncer

MS = 1_000_000


def listen(changes, looks=()) -> list[tuple[int, bool]]:
    """Clean edges of raw changes ``(ns, high)``, ``due`` asked at the times of ``looks`` and at the end."""
    line, edges = Debouncer(), []
    looks = sorted(looks)
    for at, high in changes:
        while looks and looks[0] <= at:
            edges += line.due(looks.pop(0))
        edges += line.feed(at, high)
    for at in [*looks, (changes[-1][0] if changes else 0) + 2 * LOCKOUT_NS]:
        edges += line.due(at)
    return edges


def test_clean_edges_pass_with_their_times():
    edges = [(10 * MS, True), (11 * MS, False), (15 * MS, True), (25 * MS, False)]
    assert listen(edges) == edges


def test_a_trigger_of_one_millisecond_between_bouncing_contacts():
    raw = [(0, True), (30_000, False), (60_000, True), (MS, False), (MS + 200_000, True), (MS + 250_000, False)]
    assert listen(raw) == [(0, True), (MS, False)]


def test_a_line_that_stands_elsewhere_after_the_lock_out_is_an_edge_too():
    """A pulse shorter than the lock-out keeps both its edges."""
    line = Debouncer()
    assert line.feed(MS, True) == [(MS, True)]
    assert line.feed(MS + 300_000, False) == [] and line.waiting_until == MS + LOCKOUT_NS
    assert line.due(MS + 399_999) == []
    assert line.due(MS + LOCKOUT_NS) == [(MS + 300_000, False)] and line.waiting_until is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_bounced_edge_is_one_edge_at_its_first_contact(data):
    lengths = data.draw(st.lists(st.integers(MS, 5 * MS), min_size=1, max_size=20))
    raw, clean, at, high = [], [], 0, False
    for length in lengths:
        at, high = at + length, not high
        clean.append((at, high))
        raw.append((at, high))
        bounces = sorted(data.draw(st.sets(st.integers(1_000, LOCKOUT_NS - 1_000), max_size=6)))
        if len(bounces) % 2:
            bounces.pop()      # contacts end where they belong
        raw += [(at + bounce, high if i % 2 else not high) for i, bounce in enumerate(bounces)]
    looks = data.draw(st.lists(st.integers(0, at + MS), max_size=30))
    assert listen(raw, looks) == clean


@settings(max_examples=300, deadline=None)
@given(gaps=st.lists(st.integers(1, 2 * MS), max_size=60), looks=st.lists(st.integers(0, 100 * MS), max_size=30))
def test_whatever_the_line_does_edges_alternate_and_end_where_it_stands(gaps, looks):
    raw, at, high = [], 0, False
    for gap in gaps:
        at, high = at + gap, not high
        raw.append((at, high))
    edges = listen(raw, looks)
    assert [level for _, level in edges] == [i % 2 == 0 for i in range(len(edges))]
    assert all(one[0] < other[0] for one, other in zip(edges, edges[1:]))
    assert len(edges) % 2 == len(raw) % 2, "the last one tells where the line stands"
    assert {at for at, _ in edges} <= {at for at, _ in raw}
