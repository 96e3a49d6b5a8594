"""One job: frames in, tiles out. Knows nothing of folders, hosts or systemd."""
