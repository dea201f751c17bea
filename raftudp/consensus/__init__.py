"""The consensus core: Raft with incarnations for servers and slots for names.

Pure: no I/O, clock, randomness, logging.

Read `vocabulary`, `messages`, `inputs` and `outputs` first, then `state`, then `server`, which
calls all the rest.
"""
