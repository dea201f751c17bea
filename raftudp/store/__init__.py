"""The replicated state machine: pure, deterministic, and a stranger to bytes of wire and disk.

`commands` says what can be asked of it and what it answers; `key_value_store` keeps keys,
`sessions` makes writes exactly-once, `state_machine` applies the log to both.
"""
