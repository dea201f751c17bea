"""Real replicas in network namespaces of their own, tormented; what their clients saw is judged."""
