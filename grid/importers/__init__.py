"""Reading networks and customers from files: every format fills one staging, and one path leads from there."""
