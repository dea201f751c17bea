"""How a program talks to the replicas: a sans-I/O session, and the clients that run it on a socket.

Reading order: `requests` (what can be asked), `results` (what comes back), `session` (the whole),
`leadership` (who is asked), `writes` and `questions` (what is asked), `transfers` (how large
messages travel), then `udp_client` and `async_client`, which bring socket and clock.
"""
