"""How a program talks to the replicas: a sans-I/O session, and the clients that run it on a socket.

Reading order: `requests` (what can be asked), `results` (what comes back), `session` (the whole),
`leadership` (who is asked), `writes` and `questions` (what is asked), `transfers` (how large
messages travel), then `link`, `udp_client` and `async_client`, which bring socket and clock, and
`founding`, which makes a cluster out of blank servers.
"""

from raftudp.client.async_client import AsyncClient
from raftudp.client.udp_client import Client

__all__ = ["AsyncClient", "Client"]
