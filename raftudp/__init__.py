"""raftudp: a key/value store whose replicas agree by Raft over plain UDP."""
