"""The daemon's connections to Valkey: how commands are sent on them, and what is returned.

`target` defines one upstream, `call` what is handed to an upstream, `interface` what every kind of upstream does.
`standalone` is one server: multiplexed `pipeline`s by `lane`, each with a `connection`. A pipeline's `reconnector` has
it made by the `connector`. A server also has `dedicated` connections, and `replicas` among its addresses. `detours`
leads calls past a connection that is held up. `cluster` is many servers. `registry` keeps one upstream per target.
"""
