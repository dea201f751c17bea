"""The replicated state machine: pure, deterministic, and without knowledge of bytes on a wire or a disk.

`commands` says what can be asked of it and what it answers; `key_value_store` keeps keys, `sessions` makes writes
exactly-once.
"""
