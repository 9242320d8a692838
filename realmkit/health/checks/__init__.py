"""The checks, one file a group. Each is a pure function from what was seen to findings; its docstring is its page."""
