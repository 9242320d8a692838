"""Stand-ins for clouds: their APIs on loopback, as strict as the documents say, with a real name server behind them.

What a stand-in takes it hands to Knot DNS (`published.py`), read by dnspython, so that tests judge by what a server
that we did not write serves. Where a limit or an error is known from a document, the code names it; what is from
memory is marked so.
"""
