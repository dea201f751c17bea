"""The interactive shell on a raftudp cluster: it knows the client library and nothing below it."""
