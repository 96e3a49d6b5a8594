"""What a share can do, measured on the share itself: each kind of facts is a class that measures its own."""
