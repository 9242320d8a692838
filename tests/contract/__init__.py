"""One suite for all DNS providers: what `realmkit.dns.provider` promises, shown on real servers.

`cases.py` lists what a zone holds before and after each batch; `test_transitions.py` plays every case against every
provider and looks at the result three ways: the provider's own snapshot, the answers of the real name server, and
everything that was not to be touched. `test_promises.py` shows the rest: compare and swap, all or nothing, weights,
errors. What a backend can't do is read from its `Capabilities`, not from its name.

To run it against a provider of your own, write a `Harness` (see `harness.py`; `powerdns.py` is a short example) and
name it, once or for good::

    pytest tests/contract --harness my_package.contract:MyHarness

    [project.entry-points."realmkit.contract"]
    mine = "my_package.contract:MyHarness"
"""
