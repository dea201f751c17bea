"""Real sockets through a relay that loses, doubles and reorders: all writes end, exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.relay import Weather
from tests.integration.replicas import PATIENCE_S, RealCluster
from tests.integration.writers import Writers, check_nothing_lost

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("loss", [0.05, 0.2, 0.5])
def test_all_writes_end_exactly_once(loss: float, tmp_path: Path) -> None:
    """Whatever the loss, writes are acknowledged and none is lost or applied twice."""
    weather = Weather(loss=loss, doubling=0.1, delay_ms=5, seed=7)
    with RealCluster(tmp_path, 3, weather) as cluster, cluster.client(timeout=60) as client:
        with Writers(client, 8) as writers:
            writers.wait_for_more(40, 3 * PATIENCE_S)
        check_nothing_lost(client, writers)
        assert not any(told.unknown or told.not_done for told in writers.told)


def test_a_mebibyte_through_five_percent_loss(tmp_path: Path) -> None:
    """A value of the greatest size goes in and comes out where every twentieth datagram is lost."""
    value = bytes(range(256)) * (MEBIBYTE // 256)
    weather = Weather(loss=0.05, doubling=0.02, delay_ms=2, seed=11)
    with RealCluster(tmp_path, 3, weather) as cluster, cluster.client(timeout=60) as client:
        written = client.put("large", value)
        item = client.get("large")
        assert item is not None
        assert item.value == value
        assert item.revision == written.revision
