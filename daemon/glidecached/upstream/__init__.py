"""The daemon's connections to Valkey: whom they belong to, how commands travel on them, what comes back.

`identity` says what one upstream is, `commands` what the daemon knows of commands, `call` what is handed to an
upstream, `base` what every kind of upstream does. `standalone` is one server: a multiplexed `connection`, made by the
`connector`, `blocking` connections beside it, and the `replicas` among its addresses. `cluster` is many. `directory`
keeps one upstream per target.
"""
