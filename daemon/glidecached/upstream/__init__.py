"""The daemon's connections to Valkey: how commands travel on them, and what comes back.

`target` says what one upstream is, `call` what is handed to an upstream, `upstream` what every kind of upstream does.
`standalone` is one server: multiplexed `pipeline`s by `lane`, each with a `connection` made by the `connector`;
`dedicated` connections beside them, and the `replicas` among its addresses. `detours` leads calls past a connection
that is held up. `cluster` is many servers. `registry` keeps one upstream for each target.
"""
