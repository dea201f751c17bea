"""Datagrams in and out of this machine, and the addresses that they go to."""
