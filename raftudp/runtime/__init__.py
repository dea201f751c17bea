"""The composition root: joins core, store, wire and network into a replica's process."""
