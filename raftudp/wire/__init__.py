"""What travels: client messages, the codec of all messages, the envelope that seals a datagram."""
