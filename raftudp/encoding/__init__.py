"""Values to bytes and back; what is written to the wire and to the disk alike."""
