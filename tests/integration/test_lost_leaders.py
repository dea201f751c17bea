"""Leaders die by kill -9 under load: nothing acknowledged is lost, nothing is applied twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.replicas import PATIENCE_S, RealCluster
from tests.integration.writers import Writers, check_nothing_lost

CLUSTERS = 10


@pytest.mark.parametrize("number", range(CLUSTERS))
def test_two_leaders_in_a_row(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of five replicas two leaders are killed, one after the other, while three writers write.

    The time to the next committed write is reported, not asserted.
    """
    with RealCluster(tmp_path, 5) as cluster, cluster.client() as client:
        with Writers(client, 3) as writers:
            writers.wait_for_more(30, PATIENCE_S)
            for which in ("first", "second"):
                cluster.kill(cluster.leader(client))
                fail_over_s = writers.wait_for_more(30, PATIENCE_S)
                with capsys.disabled():
                    print(f" {which} leader lost, next write after {fail_over_s * 1e3:.0f} ms;")
        check_nothing_lost(client, writers)
