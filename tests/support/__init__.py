"""What several test folders use: recordings, faces, shares, fakes of devices."""
