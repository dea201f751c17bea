"""What travels: client messages, the codec of all messages, and the envelope that seals a datagram."""
