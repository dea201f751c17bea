"""The keys and their values: found, changed, and listed in order, page by page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftudp.store.commands import Item
from raftudp.store.key_value_store import KeyValueStore

keys = st.text("ab\x00\xff", max_size=4).map(lambda text: text.encode("latin-1"))
changes = st.lists(st.tuples(keys, st.none() | st.binary(max_size=3)), max_size=40)


def filled(changed: list[tuple[bytes, bytes | None]]) -> tuple[KeyValueStore, dict[bytes, Item]]:
    """A store and a dict after the same changes; None deletes."""
    store, model = KeyValueStore(), {}
    for revision, (key, value) in enumerate(changed, start=1):
        if value is None:
            assert store.delete(key) == (model.pop(key, None) is not None)
        else:
            store.put(key, value, revision)
            model[key] = Item(key, value, revision)
    return store, model


@given(changes, keys)
def test_it_is_a_dict(changed: list[tuple[bytes, bytes | None]], absent: bytes):
    """It holds for each key the value and revision of its last change."""
    store, model = filled(changed)
    assert len(store) == len(model)
    for key in [*model, absent]:
        assert store.get(key) == model.get(key)
    assert list(store.items()) == [model[key] for key in sorted(model)]


@given(changes, keys, st.none() | keys, st.integers(1, 5), st.integers(0, 20))
def test_pages_are_slices_of_the_sorted_keys(
    changed: list[tuple[bytes, bytes | None]],
    prefix: bytes,
    after: bytes | None,
    limit: int,
    limit_bytes: int,
):
    """A page begins behind `after`, keeps to its limits, and says truly whether more follow."""
    store, model = filled(changed)
    wanted = [
        model[key]
        for key in sorted(model)
        if key.startswith(prefix) and (after is None or key > after)
    ]
    page, more = store.list(prefix, after, limit, limit_bytes)
    assert list(page) == wanted[: len(page)]
    assert more == (len(page) < len(wanted))
    sizes = [len(item.key) + len(item.value) for item in wanted]
    assert len(page) <= limit
    assert len(page) <= 1 or sum(sizes[: len(page)]) <= limit_bytes
    if more and len(page) < limit:
        assert page
        assert sum(sizes[: len(page) + 1]) > limit_bytes


@given(changes, keys, st.integers(1, 3), st.integers(0, 10))
def test_pages_one_after_the_other_are_the_whole_list(
    changed: list[tuple[bytes, bytes | None]], prefix: bytes, limit: int, limit_bytes: int
):
    """Asked again behind the last key, the pages end, and together hold each key once."""
    store, model = filled(changed)
    listed: list[Item] = []
    more = True
    while more:
        after = listed[-1].key if listed else None
        page, more = store.list(prefix, after, limit, limit_bytes)
        listed += page
    assert listed == [model[key] for key in sorted(model) if key.startswith(prefix)]
