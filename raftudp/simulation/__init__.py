"""A whole cluster in one process on a simulated network and clock, and the checks of what its
clients saw.

`history` records what clients asked and were told, `linearizability` judges it. Neither knows
anything of the rest, so they judge the history of a real cluster just as well.
"""
