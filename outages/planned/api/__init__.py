"""REST interface of planning: plans, works one by one or a thousand at once, and the course of published windows."""
