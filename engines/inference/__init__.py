"""Model runtimes behind one engine protocol."""
