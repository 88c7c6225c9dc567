"""REST interface of the record: outages, their events, the gap-free feed, the one answer."""
